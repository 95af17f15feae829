#include "storage/hdf5/links.h"

#include <algorithm>
#include <string>

namespace troupe::storage::hdf5 {
namespace {

bool hard_link_exists(const Handle& file, const std::string& path, const Action& action) {
  if (check(H5Lexists(file.id(), path.c_str(), H5P_DEFAULT), action) == 0) return false;
  H5L_info_t info;
  check(H5Lget_info(file.id(), path.c_str(), &info, H5P_DEFAULT), action);
  if (info.type != H5L_TYPE_HARD) throw corrupt(action, fmt::format("'{}' is a link to elsewhere", path));
  return true;
}

}  // namespace

void require_object_name(std::string_view name, const Action& action) {
  std::size_t begin = 0;
  while (true) {
    const std::size_t end = std::min(name.find('/', begin), name.size());
    const std::string_view component = name.substr(begin, end - begin);
    if (component.empty() || component == "." || component == "..") {
      throw corrupt(action, "the name is not a path of plain components");
    }
    if (end == name.size()) return;
    begin = end + 1;
  }
}

bool links_exist(const Handle& file, std::string_view name, const Action& action) {
  require_object_name(name, action);
  for (std::size_t end = name.find('/'); end != std::string_view::npos; end = name.find('/', end + 1)) {
    if (!hard_link_exists(file, std::string(name.substr(0, end)), action)) return false;
  }
  return hard_link_exists(file, std::string(name), action);
}

void require_hard_links(const Handle& file, std::string_view name, const Action& action) {
  if (!links_exist(file, name, action)) throw corrupt(action, "it does not exist");
}

}  // namespace troupe::storage::hdf5
