#include <algorithm>
#include <string>

#include "storage/hdf5/checked.h"
#include "storage/hdf5/file.h"
#include "storage/hdf5/links.h"

namespace troupe::storage::hdf5 {
namespace {

/// Longest string that an attribute may hold, in bytes (a limit of the format).
constexpr std::size_t kMaxStringBytes = 60'000;

Handle scalar_space(const Action& action) { return checked_handle(H5Screate(H5S_SCALAR), H5Sclose, action); }

/// UTF-8 of a fixed length, padded with zeros.
Handle string_type(std::size_t bytes, const Action& action) {
  Handle type = checked_handle(H5Tcopy(H5T_C_S1), H5Tclose, action);
  check(H5Tset_size(type.id(), std::max<std::size_t>(bytes, 1)), action);
  check(H5Tset_strpad(type.id(), H5T_STR_NULLPAD), action);
  check(H5Tset_cset(type.id(), H5T_CSET_UTF8), action);
  return type;
}

void create_attribute(const Handle& object, const std::string& name, hid_t type, const void* value,
                      const Action& action) {
  const Handle space = scalar_space(action);
  const Handle attribute = checked_handle(
      H5Acreate2(object.id(), name.c_str(), type, space.id(), H5P_DEFAULT, H5P_DEFAULT), H5Aclose, action);
  check(H5Awrite(attribute.id(), type, value), action);
}

Handle open_attribute(const Handle& object, const std::string& name, const Action& action) {
  if (check(H5Aexists(object.id(), name.c_str()), action) == 0) throw corrupt(action, "it does not exist");
  return checked_handle(H5Aopen(object.id(), name.c_str(), H5P_DEFAULT), H5Aclose, action);
}

void require_scalar(const Handle& attribute, const Action& action) {
  const Handle space = checked_handle(H5Aget_space(attribute.id()), H5Sclose, action);
  if (check(H5Sget_simple_extent_npoints(space.id()), action) != 1)
    throw corrupt(action, "it is not one value");
}

std::string attribute_label(std::string_view object, const std::string& name) {
  return fmt::format("{}@{}", object, name);
}

}  // namespace

Handle File::open_object(std::string_view name, std::string_view verb) const {
  const Action action{path_, name, verb, ErrorCode::kCorrupt};
  if (name != "/") require_hard_links(handle_, name, action);
  return checked_handle(H5Oopen(handle_.id(), std::string(name).c_str(), H5P_DEFAULT), H5Oclose, action);
}

void File::set_attribute(std::string_view object, const std::string& name, std::int64_t value) {
  const std::string label = attribute_label(object, name);
  create_attribute(open_object(object, "write"), name, file_type(ElementType::kI64), &value,
                   {path_, label, "write"});
}

void File::set_attribute(std::string_view object, const std::string& name, std::string_view value) {
  const std::string label = attribute_label(object, name);
  const Action action{path_, label, "write"};
  TROUPE_CHECK(value.size() <= kMaxStringBytes, "{}: {} bytes in an attribute", label, value.size());
  const std::string padded = value.empty() ? std::string(1, '\0') : std::string(value);
  create_attribute(open_object(object, "write"), name, string_type(value.size(), action).id(), padded.data(),
                   action);
}

std::int64_t File::integer_attribute(std::string_view object, const std::string& name) const {
  const std::string label = attribute_label(object, name);
  const Action action{path_, label, "read", ErrorCode::kCorrupt};
  const Handle attribute = open_attribute(open_object(object, "read"), name, action);
  require_scalar(attribute, action);
  const Handle type = checked_handle(H5Aget_type(attribute.id()), H5Tclose, action);
  if (check(H5Tequal(type.id(), file_type(ElementType::kI64)), action) == 0)
    throw corrupt(action, "it is not an i64");
  std::int64_t value = 0;
  check(H5Aread(attribute.id(), type.id(), &value), action);
  return value;
}

std::string File::string_attribute(std::string_view object, const std::string& name) const {
  const std::string label = attribute_label(object, name);
  const Action action{path_, label, "read", ErrorCode::kCorrupt};
  const Handle attribute = open_attribute(open_object(object, "read"), name, action);
  require_scalar(attribute, action);
  const Handle type = checked_handle(H5Aget_type(attribute.id()), H5Tclose, action);
  if (H5Tget_class(type.id()) != H5T_STRING || check(H5Tis_variable_str(type.id()), action) != 0) {
    throw corrupt(action, "it is not a string of fixed length");
  }
  const std::size_t bytes = H5Tget_size(type.id());
  if (bytes == 0 || bytes > kMaxStringBytes) throw corrupt(action, "its length is out of range");
  std::string value(bytes, '\0');
  check(H5Aread(attribute.id(), type.id(), value.data()), action);
  value.resize(std::min(value.find('\0'), value.size()));
  return value;
}

}  // namespace troupe::storage::hdf5
