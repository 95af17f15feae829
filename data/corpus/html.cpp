#include "data/corpus/html.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <utility>

#include "base/index.h"
#include "data/corpus/html_entities.h"

namespace troupe::data {
namespace {

constexpr std::array<std::string_view, 5> kSkipped{"title", "script", "style", "template", "noscript"};
constexpr std::array<std::string_view, 31> kParagraphs{
    "address", "article", "aside", "blockquote", "body", "dl",     "fieldset", "figure",
    "footer",  "form",    "h1",    "h2",         "h3",   "h4",     "h5",       "h6",
    "header",  "hr",      "html",  "main",       "nav",  "ol",     "p",        "pre",
    "section", "table",   "tbody", "thead",      "ul",   "center", "div"};
constexpr std::array<std::string_view, 7> kLines{"br", "dd", "dt", "li", "option", "tr", "caption"};

template <std::size_t size>
bool contains(const std::array<std::string_view, size>& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

bool is_space(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f'; }
char lower(char c) { return static_cast<char>(std::tolower(static_cast<unsigned char>(c))); }

struct Tag {
  std::string name;  // lower case; empty for comments, declarations and instructions
  bool closing = false;
};

/// Position after the `>` that ends the tag at the beginning of `html`; quoted values may hold one.
std::size_t tag_end(std::string_view html) {
  char quote = 0;
  for (std::size_t i = 1; i < html.size(); ++i) {
    const char c = html[i];
    if (quote != 0) {
      if (c == quote) quote = 0;
    } else if ((c == '"' || c == '\'') && html[i - 1] == '=') {
      quote = c;
    } else if (c == '>') {
      return i + 1;
    }
  }
  return html.size();
}

/// Cuts the tag, comment or declaration off the beginning of `html`.
Tag take_tag(std::string_view& html) {
  if (html.starts_with("<!--")) {
    const std::size_t end = html.find("-->", 4);
    html.remove_prefix(end == std::string_view::npos ? html.size() : end + 3);
    return {};
  }
  Tag tag;
  std::size_t i = 1;
  if (html[i] == '/') {
    tag.closing = true;
    ++i;
  }
  for (; i < html.size() && std::isalnum(static_cast<unsigned char>(html[i])) != 0; ++i)
    tag.name += lower(html[i]);
  html.remove_prefix(tag_end(html));
  return tag;
}

/// A `<` begins a tag only before a letter, `/`, `!` or `?`.
bool begins_tag(std::string_view html) {
  return html.size() > 1 && (std::isalpha(static_cast<unsigned char>(html[1])) != 0 || html[1] == '/' ||
                             html[1] == '!' || html[1] == '?');
}

/// Removes everything up to the closing tag of `name`, which stays.
void skip_content(std::string_view& html, const std::string& name) {
  for (std::size_t at = html.find("</"); at != std::string_view::npos; at = html.find("</", at + 2)) {
    const std::string_view candidate = html.substr(at + 2, name.size());
    if (std::equal(candidate.begin(), candidate.end(), name.begin(), name.end(),
                   [](char a, char b) { return lower(a) == b; })) {
      html.remove_prefix(at);
      return;
    }
  }
  html = {};
}

/// Collects the text and keeps the white space between its pieces in order.
class TextBuilder {
 public:
  void add_text(std::string_view raw) {
    std::string text;
    detail::append_unescaped(raw, text);
    preformatted_ > 0 ? add_preformatted(text) : add_flowing(text);
  }

  void apply(const Tag& tag) {
    if (tag.name == "pre") {
      preformatted_ = std::max(preformatted_ + (tag.closing ? -1 : 1), 0);
      at_pre_start_ = !tag.closing;
    }
    if (contains(kParagraphs, tag.name)) break_line(2);
    if (contains(kLines, tag.name) && !(tag.closing && tag.name != "tr")) break_line(1);
    if ((tag.name == "td" || tag.name == "th") && !tag.closing) space_ = true;
  }

  std::string finish() {
    if (!out_.empty()) out_ += '\n';
    return std::move(out_);
  }

 private:
  void add_flowing(std::string_view text) {
    for (const char c : text) {
      if (is_space(c)) {
        space_ = true;
      } else {
        begin_piece();
        out_ += c;
      }
    }
  }

  void add_preformatted(std::string_view text) {
    // A line end right after <pre> is none.
    if (std::exchange(at_pre_start_, at_pre_start_ && text.empty()) && text.starts_with('\n'))
      text.remove_prefix(1);
    for (const char c : text) {
      if (c == '\n') {
        ++lines_;
        space_ = false;
        indent_.clear();
      } else if (c == ' ' || c == '\t') {
        indent_ += c;
      } else if (c != '\r') {
        begin_piece();
        out_ += c;
      }
    }
  }

  /// At least this many line ends before the next text.
  void break_line(int lines) {
    lines_ = std::max(lines_, lines);
    space_ = false;
    indent_.clear();
  }

  /// Writes the space that was owed.
  void begin_piece() {
    if (!out_.empty() && lines_ > 0) {
      out_.append(at(std::min(lines_, 3)), '\n');
    } else if (!out_.empty() && space_) {
      out_ += ' ';
    }
    out_ += indent_;
    lines_ = 0;
    space_ = false;
    indent_.clear();
  }

  std::string out_;
  int preformatted_ = 0;  // open <pre>
  bool at_pre_start_ = false;
  int lines_ = 0;       // owed line ends
  bool space_ = false;  // owed space, if no line end is
  std::string indent_;  // owed preformatted space
};

}  // namespace

std::string html_to_text(std::string_view html) {
  TextBuilder builder;
  while (!html.empty()) {
    const std::size_t bracket = html.find('<');
    builder.add_text(html.substr(0, bracket));
    if (bracket == std::string_view::npos) break;
    html.remove_prefix(bracket);
    if (!begins_tag(html)) {
      builder.add_text(html.substr(0, 1));
      html.remove_prefix(1);
      continue;
    }
    const Tag tag = take_tag(html);
    if (!tag.closing && contains(kSkipped, tag.name)) skip_content(html, tag.name);
    builder.apply(tag);
  }
  return builder.finish();
}

}  // namespace troupe::data
