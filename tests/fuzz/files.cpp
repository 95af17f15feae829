#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <string>

#include "base/error.h"
#include "base/file.h"
#include "data/sources/input_reader.h"
#include "data/sources/token_cutters.h"
#include "storage/hash.h"
#include "storage/hdf5/file.h"
#include "storage/manifest.h"
#include "storage/manifest_json.h"
#include "storage/safetensors/header.h"
#include "tests/fuzz/targets.h"

namespace troupe::fuzz {
namespace {

/// A folder of this process, for what reads files by name.
class ScratchFolder {
 public:
  ScratchFolder()
      : path_(std::filesystem::temp_directory_path() / fmt::format("troupe-fuzz-{}", ::getpid())) {
    std::filesystem::create_directories(path_);
  }
  ~ScratchFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;

  /// The file's path.
  [[nodiscard]] std::filesystem::path write(const char* name, std::string_view bytes) const {
    const FileDescriptor file = FileDescriptor::open(path_ / name, O_WRONLY | O_CREAT | O_TRUNC);
    write_all(file, std::as_bytes(std::span(bytes)), name);
    return path_ / name;
  }

 private:
  std::filesystem::path path_;
};

const ScratchFolder& scratch() {
  static const ScratchFolder folder;
  return folder;
}

/// The text up to its own hash, and then the hash that fits: else nothing behind the first check would be
/// reached.
std::string with_own_hash(std::string_view text) {
  constexpr std::string_view kLast = ",\n \"hash\": \"";
  const std::string content(text.substr(0, text.rfind(kLast)));
  const std::string hash = storage::hash_bytes(std::as_bytes(std::span(content))).to_string();
  return content + std::string(kLast) + hash + "\"\n}\n";
}

void read_all(data::DocumentCutter& cutter) {
  for (std::string document; cutter.next(document); document.clear()) {
  }
}

data::InputFile token_file(const std::filesystem::path& path, data::InputKind kind) {
  data::InputFile file;
  file.path = path;
  file.kind = kind;
  return file;
}

constexpr std::int32_t kEndOfText = 3;

}  // namespace

void read_manifest(std::string_view bytes) {
  const storage::Manifest manifest = storage::parse_manifest(with_own_hash(bytes));
  const std::string text = storage::serialize_manifest(manifest);
  if (storage::serialize_manifest(storage::parse_manifest(text)) != text)
    throw Error(ErrorCode::kInternal, "a manifest changes when it is written and read");
}

void read_hdf5(std::string_view bytes) {
  const storage::hdf5::File file = storage::hdf5::File::open(scratch().write("file.h5", bytes));
  for (const char* name : {"tokens", "layers/00/weight/0", "offsets"}) {
    try {
      const storage::hdf5::Dataset dataset = file.open_dataset(name);
      std::array<float, 16> values{};
      if (dataset.elements() >= std::ssize(values)) dataset.read(0, std::span<float>(values));
    } catch (const Error&) {  // the next one may be good
    }
  }
  static_cast<void>(file.integer_attribute("/", "format_version"));
  static_cast<void>(file.string_attribute("/", "tokenizer_hash"));
}

void read_safetensors(std::string_view bytes) {
  using namespace storage::safetensors;
  const auto length = header_length(bytes, std::ssize(bytes), "fuzz");
  static_cast<void>(
      parse_header(bytes.substr(kLengthBytes, static_cast<std::size_t>(length)), std::ssize(bytes), "fuzz"));
}

void read_token_bin(std::string_view bytes) {
  const data::InputFile file = token_file(scratch().write("tokens.bin", bytes), data::InputKind::kTokenBin);
  read_all(*data::make_token_bin_cutter(file, {.separator = "", .end_of_text = kEndOfText}));
}

/// The index of 4096 tokens.
void read_token_index(std::string_view bytes) {
  static_cast<void>(scratch().write("tokens.idx", bytes));
  const auto tokens = scratch().write("tokens.bin", std::string(8192, '\1'));
  read_all(*data::make_megatron_cutter(token_file(tokens, data::InputKind::kMegatron),
                                       {.separator = "", .end_of_text = kEndOfText}));
}

}  // namespace troupe::fuzz
