#include "data/sources/inputs.h"

#include <algorithm>
#include <array>

#include "base/error.h"
#include "data/corpus/collect.h"
#include "data/sources/byte_stream.h"

namespace troupe::data {
namespace {

namespace fs = std::filesystem;

constexpr std::array<std::string_view, 3> kPackedEnds = {".gz", ".zst", ".xz"};

/// The end of a file's name that says what is in it, in lower case: ".jsonl" of "a.JSONL.gz".
std::string content_end(const fs::path& file) {
  fs::path name = file.filename();
  if (std::ranges::find(kPackedEnds, name.extension()) != kPackedEnds.end()) name = name.stem();
  std::string end = name.extension();
  std::ranges::transform(end, end.begin(), [](char c) { return 'A' <= c && c <= 'Z' ? c - 'A' + 'a' : c; });
  return end;
}

/// Throws for kinds that are known and not read.
void refuse_parquet(const fs::path& file) {
  if (content_end(file) != ".parquet") return;
  throw Error(ErrorCode::kConfig,
              "{}: Parquet is not read; make JSON lines of it: python3 -c \"import sys, pandas; "
              "pandas.read_parquet(sys.argv[1]).to_json(sys.argv[2], orient='records', lines=True)\" {} {}",
              file.string(), file.string(), fs::path(file).replace_extension(".jsonl").string());
}

InputKind kind_by_content(const fs::path& file) {
  std::array<char, 256> beginning{};
  const std::size_t size = open_byte_stream(file)->read(beginning);
  const std::string_view text(beginning.data(), size);
  const std::size_t first = text.find_first_not_of(" \t\r\n\xEF\xBB\xBF");
  return first != std::string_view::npos && text[first] == '{' ? InputKind::kJsonLines : InputKind::kText;
}

bool is_known(const std::string& end) {
  static constexpr std::array<std::string_view, 5> kEnds = {".txt", ".md", ".jsonl", ".bin", ".parquet"};
  return std::ranges::find(kEnds, end) != kEnds.end();
}

InputKind kind_of(const fs::path& file) {
  refuse_parquet(file);
  const std::string end = content_end(file);
  if (end == ".jsonl") return InputKind::kJsonLines;
  if (end == ".txt" || end == ".md") return InputKind::kText;
  if (end != ".bin") return kind_by_content(file);
  if (file.extension() != ".bin") {
    throw Error(ErrorCode::kConfig, "{}: files of tokens are read at any place, so unpacked: unpack it first",
                file.string());
  }
  return fs::exists(fs::path(file).replace_extension(".idx")) ? InputKind::kMegatron : InputKind::kTokenBin;
}

class InputFinder {
 public:
  void add(const std::string& input) {
    const std::size_t before = found_.files.size();
    if (fs::is_directory(input)) {
      add_folder(input);
    } else if (fs::exists(input)) {
      add_file(input, "text");
    } else if (input.find_first_of("*?[") != std::string::npos) {
      add_pattern(input);
    } else {
      throw Error(ErrorCode::kConfig, "{}: there is no such file or folder", input);
    }
    if (found_.files.size() == before) {
      throw Error(ErrorCode::kConfig, "{}: no .txt, .md, .jsonl (also .gz, .zst, .xz) or .bin file is there",
                  input);
    }
  }

  FoundInputs found() { return std::move(found_); }

 private:
  void add_folder(const fs::path& folder) {
    const MatchingFiles all = matching_files(folder, {"*"});
    for (const fs::path& file : all.files) take(file, folder);
    found_.broken_links.insert(found_.broken_links.end(), all.broken_links.begin(), all.broken_links.end());
  }

  void take(const fs::path& file, const fs::path& folder) {
    const std::string end = content_end(file);
    const bool index = end == ".idx" && fs::exists(fs::path(file).replace_extension(".bin"));
    if (index) return;  // read with its .bin
    if (is_known(end)) return add_file(file, domain_below(folder, file));
    ++found_.left_out[end.empty() ? "without an end" : end];
  }

  /// "texts/**/*.md": the part before the first folder with a sign is the folder.
  void add_pattern(const std::string& pattern) {
    const std::size_t slash = pattern.rfind('/', pattern.find_first_of("*?["));
    const std::string folder = slash == std::string::npos ? "." : pattern.substr(0, slash + 1);
    if (!fs::is_directory(folder)) throw Error(ErrorCode::kConfig, "{}: there is no such folder", folder);
    const std::string inside = slash == std::string::npos ? pattern : pattern.substr(slash + 1);
    for (const fs::path& file : matching_files(folder, {inside}).files)
      add_file(file, domain_below(folder, file));
  }

  static std::string domain_below(const fs::path& folder, const fs::path& file) {
    const fs::path inside = file.lexically_relative(folder);
    if (std::distance(inside.begin(), inside.end()) > 1) return domain_name(inside.begin()->string());
    return domain_name(fs::canonical(folder).filename().string());
  }

  void add_file(const fs::path& file, const std::string& domain) {
    found_.files.push_back({.path = file,
                            .kind = kind_of(file),
                            .domain = domain,
                            .bytes = static_cast<std::int64_t>(fs::file_size(file))});
  }

  FoundInputs found_;
};

}  // namespace

FoundInputs find_inputs(const std::vector<std::string>& inputs) {
  InputFinder finder;
  for (const std::string& input : inputs) finder.add(input);
  return finder.found();
}

std::string domain_name(std::string_view text) {
  std::string name;
  for (const char c : text.substr(0, 64)) {
    const char lower = 'A' <= c && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    const bool letter = ('a' <= lower && lower <= 'z') || ('0' <= lower && lower <= '9');
    name += letter || ((lower == '.' || lower == '_' || lower == '-') && !name.empty()) ? lower : '-';
  }
  return name.empty() || name == std::string(name.size(), '-') ? "text" : name;
}

}  // namespace troupe::data
