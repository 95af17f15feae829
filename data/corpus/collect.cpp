#include "data/corpus/collect.h"

#include <fmt/ranges.h>
#include <fnmatch.h>

#include <algorithm>
#include <span>

#include "base/error.h"
#include "data/corpus/json_lines.h"
#include "data/corpus/prose.h"
#include "data/corpus/text_file.h"
#include "data/sources/document_encoder.h"
#include "data/sources/input_reader.h"
#include "data/sources/inputs.h"

namespace troupe::data {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kNamedFiles = 10;  // of those that are left out

bool matches(const std::string& path, const std::string& pattern) {
  const int result = ::fnmatch(pattern.c_str(), path.c_str(), 0);
  if (result != 0 && result != FNM_NOMATCH) throw Error(ErrorCode::kConfig, "bad file pattern '{}'", pattern);
  if (result == 0) return true;
  const std::size_t folders = pattern.find("**/");
  return folders != std::string::npos && matches(path, std::string(pattern).erase(folders, 3));
}

bool matches(const std::string& path, const std::vector<std::string>& patterns) {
  return std::ranges::any_of(patterns, [&](const std::string& pattern) { return matches(path, pattern); });
}

/// Walks through a tree; `around` are the folders above, without links, to notice a link back to one.
class TreeWalk {
 public:
  TreeWalk(const fs::path& root, const std::vector<std::string>& patterns, Links links)
      : root_(root), patterns_(patterns), links_(links) {}

  MatchingFiles found() {
    visit(root_);
    std::ranges::sort(found_.files);
    std::ranges::sort(found_.broken_links);
    return std::move(found_);
  }

 private:
  void visit(const fs::path& folder) {
    const fs::path real = fs::canonical(folder);
    if (std::ranges::find(around_, real) != around_.end()) return;
    around_.push_back(real);
    for (const auto& entry : fs::directory_iterator(folder)) take(entry);
    around_.pop_back();
  }

  void take(const fs::directory_entry& entry) {
    if (links_ == Links::kIgnore && entry.is_symlink()) return;
    std::error_code leads_nowhere;
    const fs::file_type type = entry.status(leads_nowhere).type();
    if (type == fs::file_type::directory) return visit(entry.path());
    if (!matches(entry.path().lexically_relative(root_).generic_string(), patterns_)) return;
    if (type == fs::file_type::regular) found_.files.push_back(entry.path());
    if (type == fs::file_type::not_found) found_.broken_links.push_back(entry.path());
  }

  const fs::path& root_;
  const std::vector<std::string>& patterns_;
  Links links_;
  std::vector<fs::path> around_;
  MatchingFiles found_;
};

Error source_error(const CorpusDescription& description, const CorpusSource& source,
                   const std::string& message) {
  return Error(ErrorCode::kConfig, "{}:{}: {}", description.file.string(), source.line, message);
}

/// Their names, for a message; of many the first ones.
std::string some_of(const std::vector<fs::path>& files) {
  std::vector<std::string> names;
  for (const fs::path& file : std::span(files).first(std::min(files.size(), kNamedFiles)))
    names.push_back(file.string());
  const std::string more =
      names.size() < files.size() ? fmt::format(" and {} more", files.size() - names.size()) : "";
  return fmt::format("{}{}", fmt::join(names, ", "), more);
}

/// Takes the documents out of a source's files, and remembers what it left out.
class Collector {
 public:
  Collector(const CorpusDescription& description, const CorpusSource& source, std::int32_t domain,
            const Tokenizer* tokenizer)
      : description_(description), source_(source), domain_(domain), tokenizer_(tokenizer) {}

  CollectedDocuments collect(const MatchingFiles& found) {
    for (const fs::path& file : found.files) read(file);
    if (!found.broken_links.empty()) {
      note(fmt::format("left out {} links that lead nowhere: {}", found.broken_links.size(),
                       some_of(found.broken_links)));
    }
    if (!no_text_.empty()) {
      note(fmt::format("left out {} of {} files that are not UTF-8 text: {}", no_text_.size(),
                       found.files.size(), some_of(no_text_)));
    }
    if (broken_lines_ > 0) {
      note(fmt::format("left out {} lines, the first {}", broken_lines_, first_broken_line_));
    }
    if (nul_texts_ > 0)
      note(fmt::format("left out {} lines with NUL bytes, the first {}", nul_texts_, first_nul_text_));
    if (empty_ > 0)
      note(fmt::format("left out {} texts in which nothing is{}", empty_, source_.prose ? " prose" : ""));
    if (std::string faults = faults_.to_text(); !faults.empty()) {
      faults.pop_back();  // the last line's end
      note(faults);
    }
    if (!source_.separator.empty() && !separated_) {
      note(
          fmt::format("no line of its files is the separator '{}' (line {} of {}): each file is one document",
                      source_.separator, source_.line, description_.file.string()));
    }
    return std::move(result_);
  }

 private:
  void note(const std::string& what) { result_.notices.push_back(source_.domain + ": " + what); }

  void read(const fs::path& file) {
    if (source_.format == TextFormat::kTokens) return read_tokens(file);
    if (is_json_lines(file)) return read_lines(file, read_unpacked(file));
    const auto text = read_text_file(file, source_.format);
    if (!text) {
      no_text_.push_back(file);
    } else {
      separated_ = separated_ || has_line(*text, source_.separator);
      add(*text, source_.separator);
    }
  }

  [[nodiscard]] bool is_json_lines(const fs::path& file) const {
    if (source_.format != TextFormat::kText) return source_.format == TextFormat::kJsonLines;
    fs::path name = file.filename();
    for (const char* packed : {".gz", ".zst", ".xz"}) {
      if (name.extension() == packed) name = name.stem();
    }
    return name.extension() == ".jsonl";
  }

  void read_lines(const fs::path& file, std::string_view text) {
    const JsonFields fields{.text = source_.text_field, .domain = {}};
    for (std::int64_t number = 1; !text.empty(); ++number) {
      const std::size_t end = std::min(text.find('\n'), text.size());
      const std::string_view line = text.substr(0, end);
      text.remove_prefix(std::min(end + 1, text.size()));
      if (line.empty()) continue;
      const JsonLine parsed = parse_json_line(line, fields);
      if (parsed.fault != JsonLine::Fault::kNone) {
        if (broken_lines_++ == 0) {
          first_broken_line_ =
              fmt::format("{}:{}: {}", file.string(), number, to_string(parsed.fault, fields));
        }
        continue;
      }
      if (const auto content = detail::normalise_text(parsed.text)) {
        add(*content, "");
      } else if (nul_texts_++ == 0) {
        first_nul_text_ = fmt::format("{}:{}", file.string(), number);
      }
    }
  }

  void read_tokens(const fs::path& file) {
    if (file.extension() == ".idx") return;  // read with its .bin
    const std::vector<InputFile> files = find_inputs({file.string()}).files;
    InputReader reader(files, {.separator = "", .end_of_text = tokenizer_->end_of_text()});
    DocumentEncoder encoder(*tokenizer_, {}, /*near_duplicates=*/0.0);
    for (RawBatch raw; reader.next(raw);) {
      const EncodedBatch batch = encoder.encode(raw);
      faults_.add(batch.faults);
      for (const EncodedDocument& document : batch.documents) {
        const auto tokens = std::span(batch.tokens).subspan(document.begin, document.count);
        result_.documents.emplace_back(tokenizer_->decode(tokens), domain_,
                                       std::vector<std::int32_t>(tokens.begin(), tokens.end()));
      }
    }
  }

  void add(const std::string& text, std::string_view separator) {
    const std::string kept = source_.prose ? keep_prose(text) : text;
    const auto pieces = split_documents(kept, separator, description_.document_cap_bytes);
    if (pieces.empty()) ++empty_;
    for (const std::string_view piece : pieces) result_.documents.emplace_back(std::string(piece), domain_);
  }

  static bool has_line(std::string_view text, std::string_view line) {
    for (std::size_t at = text.find(line); at != std::string_view::npos; at = text.find(line, at + 1)) {
      const std::size_t end = at + line.size();
      if ((at == 0 || text[at - 1] == '\n') && (end == text.size() || text[end] == '\n')) return true;
    }
    return false;
  }

  const CorpusDescription& description_;
  const CorpusSource& source_;
  std::int32_t domain_;
  const Tokenizer* tokenizer_;
  CollectedDocuments result_;
  std::vector<fs::path> no_text_;
  std::int64_t broken_lines_ = 0;
  std::int64_t nul_texts_ = 0;
  std::string first_nul_text_;
  std::int64_t empty_ = 0;
  FaultCounts faults_;  // of tokens
  std::string first_broken_line_;
  bool separated_ = false;
};

}  // namespace

MatchingFiles matching_files(const fs::path& root, const std::vector<std::string>& patterns, Links links) {
  return TreeWalk(root, patterns, links).found();
}

MatchingFiles source_files(const CorpusDescription& description, const CorpusSource& source,
                           const fs::path& root) {
  if (!fs::is_directory(root)) {
    throw source_error(description, source, fmt::format("there is no folder {}", root.string()));
  }
  MatchingFiles found =
      matching_files(root, source.files, source.package.empty() ? Links::kFollow : Links::kIgnore);
  if (!found.files.empty()) return found;
  std::string message =
      fmt::format("no file of domain '{}' matches its patterns in {}", source.domain, root.string());
  if (!found.broken_links.empty())
    message += fmt::format("; of links that lead nowhere: {}", some_of(found.broken_links));
  throw source_error(description, source, message);
}

CollectedDocuments collect_documents(const CorpusDescription& description, const CorpusSource& source,
                                     const fs::path& root, std::int32_t domain, const Tokenizer* tokenizer) {
  return Collector(description, source, domain, tokenizer).collect(source_files(description, source, root));
}

}  // namespace troupe::data
