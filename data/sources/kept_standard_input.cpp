#include "data/sources/kept_standard_input.h"

#include <fcntl.h>

#include <span>
#include <system_error>

#include "base/file.h"
#include "data/sources/byte_stream.h"

namespace troupe::data {

namespace fs = std::filesystem;

KeptStandardInput::KeptStandardInput(std::vector<std::string>& inputs, const fs::path& output) {
  for (std::string& input : inputs) {
    if (input != "-") continue;
    if (path_.empty()) keep(output.string() + ".stdin");
    input = path_.string();
  }
}

KeptStandardInput::~KeptStandardInput() {
  std::error_code ignored;
  if (!path_.empty()) fs::remove(path_, ignored);
}

void KeptStandardInput::keep(const fs::path& path) {
  path_ = path;
  const FileDescriptor file = FileDescriptor::open(path, O_WRONLY | O_CREAT | O_TRUNC);
  const auto stream = open_byte_stream("-");
  std::vector<char> piece(std::size_t{1} << 20);
  while (const std::size_t got = stream->read(piece))
    write_all(file, std::as_bytes(std::span(piece).first(got)), path);
}

}  // namespace troupe::data
