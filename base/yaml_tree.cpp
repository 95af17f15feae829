#include "base/yaml_tree.h"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/mark.h>
#include <yaml-cpp/parser.h>

#include <istream>
#include <map>
#include <streambuf>

#include "base/index.h"
#include "base/utf8.h"

namespace troupe {

std::string YamlPlace::to_string() const {
  return line == 0 ? source : fmt::format("{}:{}:{}", source, line, column);
}

bool YamlNode::is_null() const {
  return kind == Kind::kScalar && !quoted && (text.empty() || text == "~" || text == "null");
}

std::string YamlNode::to_string() const {
  constexpr std::size_t kShown = 40;
  if (kind == Kind::kMap) return "a group";
  if (kind == Kind::kList) return "a list";
  if (is_null()) return "nothing";
  return text.size() <= kShown ? fmt::format("'{}'", text) : fmt::format("'{}…'", text.substr(0, kShown));
}

const YamlNode* YamlNode::find(std::string_view name) const {
  for (const Entry& entry : entries)
    if (entry.name == name) return &entry.value;
  return nullptr;
}

YamlNode* YamlNode::find(std::string_view name) {
  return const_cast<YamlNode*>(std::as_const(*this).find(name));
}

namespace {

/// Reads from someone's text without a copy.
class TextStream final : public std::streambuf {
 public:
  explicit TextStream(std::string_view text) {
    char* begin = const_cast<char*>(text.data());
    setg(begin, begin, begin + text.size());
  }
};

/// Builds the tree while the parser walks through the text, so that limits hold before memory is used.
class TreeBuilder final : public YAML::EventHandler {
 public:
  explicit TreeBuilder(const std::string& source) : source_(source) {}

  [[nodiscard]] YamlNode take_root() { return std::move(root_); }
  [[nodiscard]] bool has_root() const { return has_root_; }

  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override { leaf(mark, anchor, "", false); }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    const auto known = anchors_.find(anchor);
    if (known == anchors_.end()) fail(mark, "an alias inside the value that it stands for");
    count(mark, known->second.nodes);
    add(mark, YamlNode(known->second.value));
  }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    leaf(mark, anchor, value, tag == "!");
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    open(mark, anchor, YamlNode::Kind::kList);
  }
  void OnSequenceEnd() override { close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    open(mark, anchor, YamlNode::Kind::kMap);
  }
  void OnMapEnd() override { close(); }

 private:
  struct Open {
    YamlNode node;
    YAML::anchor_t anchor;
    std::size_t nodes_before;
    bool has_key = false;  // of a map, waiting for its value
  };
  struct Anchored {
    YamlNode value;
    std::size_t nodes;
  };

  [[nodiscard]] YamlPlace place(const YAML::Mark& mark) const {
    return mark.is_null() ? YamlPlace{source_} : YamlPlace{source_, mark.line + 1, mark.column + 1};
  }
  [[noreturn]] void fail(const YAML::Mark& mark, const std::string& message) const {
    throw YamlError(place(mark), message);
  }

  void count(const YAML::Mark& mark, std::size_t nodes) {
    nodes_ += nodes;
    if (nodes_ > kMaximumYamlNodes) fail(mark, fmt::format("more than {} values", kMaximumYamlNodes));
  }

  void leaf(const YAML::Mark& mark, YAML::anchor_t anchor, const std::string& text, bool quoted) {
    count(mark, 1);
    YamlNode node;
    node.place = place(mark);
    node.text = text;
    node.quoted = quoted;
    if (anchor != YAML::NullAnchor) anchors_.insert_or_assign(anchor, Anchored{node, 1});
    add(mark, std::move(node));
  }

  void open(const YAML::Mark& mark, YAML::anchor_t anchor, YamlNode::Kind kind) {
    if (open_.size() >= at(kMaximumYamlDepth)) {
      fail(mark, fmt::format("nested deeper than {} levels", kMaximumYamlDepth));
    }
    if (awaits_key()) fail(mark, "a key must be a plain name");
    count(mark, 1);
    YamlNode node;
    node.kind = kind;
    node.place = place(mark);
    open_.push_back({std::move(node), anchor, nodes_ - 1});
  }

  void close() {
    Open done = std::move(open_.back());
    open_.pop_back();
    if (done.anchor != YAML::NullAnchor) {
      anchors_.insert_or_assign(done.anchor, Anchored{done.node, nodes_ - done.nodes_before});
    }
    add(YAML::Mark::null_mark(), std::move(done.node));
  }

  [[nodiscard]] bool awaits_key() const {
    return !open_.empty() && open_.back().node.kind == YamlNode::Kind::kMap && !open_.back().has_key;
  }

  void add(const YAML::Mark& mark, YamlNode node) {
    if (open_.empty()) {
      root_ = std::move(node);
      has_root_ = true;
    } else if (open_.back().node.kind == YamlNode::Kind::kList) {
      open_.back().node.items.push_back(std::move(node));
    } else if (awaits_key()) {
      add_key(mark, node);
    } else {
      open_.back().node.entries.back().value = std::move(node);
      open_.back().has_key = false;
    }
  }

  void add_key(const YAML::Mark& mark, const YamlNode& node) {
    if (node.kind != YamlNode::Kind::kScalar || node.is_null()) fail(mark, "a key must be a plain name");
    YamlNode& map = open_.back().node;
    if (map.find(node.text) != nullptr) fail(mark, fmt::format("key '{}' appears twice", node.text));
    map.entries.push_back({node.text, place(mark), YamlNode{}});
    map.entries.back().value.place = place(mark);
    open_.back().has_key = true;
  }

  std::string source_;
  YamlNode root_;
  bool has_root_ = false;
  std::vector<Open> open_;
  std::map<YAML::anchor_t, Anchored> anchors_;
  std::size_t nodes_ = 0;
};

/// The only document; `absent` when there is none.
YamlNode parse_document(std::istream& stream, const std::string& source, YamlNode absent) {
  YAML::Parser parser(stream);
  TreeBuilder builder(source);
  parser.HandleNextDocument(builder);
  if (!builder.has_root()) return absent;
  YamlNode root = builder.take_root();
  TreeBuilder second(source);
  parser.HandleNextDocument(second);
  if (second.has_root()) throw YamlError(second.take_root().place, "a second document; one is expected");
  return root;
}

void set_place(YamlNode& node, const YamlPlace& place) {
  node.place = place;
  for (YamlNode::Entry& entry : node.entries) {
    entry.place = place;
    set_place(entry.value, place);
  }
  for (YamlNode& item : node.items) set_place(item, place);
}

/// Whether the line of a mistake, from 0, or the one before is indented by tabs, which YAML does not take.
bool has_tabs(std::string_view text, int line) {
  for (int number = 0; !text.empty() && number <= line; ++number) {
    const std::string_view indentation = text.substr(0, text.find_first_not_of(" \t"));
    if (number + 1 >= line && indentation.find('\t') != std::string_view::npos) return true;
    const std::size_t end = text.find('\n');
    text = end == std::string_view::npos ? "" : text.substr(end + 1);
  }
  return false;
}

/// yaml-cpp looks through all of an open bracket before it says a word, and needs 250 bytes for each.
void refuse_open_brackets(std::string_view text, const std::string& source) {
  constexpr int kMostOpen = 1000;
  int open = 0;
  for (const char c : text) {
    if (c == '[' || c == '{') ++open;
    if ((c == ']' || c == '}') && open > 0) --open;
    if (open > kMostOpen) throw YamlError({source}, fmt::format("more than {} open brackets", kMostOpen));
  }
}

void refuse_other_encodings(std::string_view text, const std::string& source) {
  YamlPlace place{source, 1, 1};
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t bytes = utf8_character_bytes(text.substr(at));
    if (bytes == 0) throw YamlError(place, "a byte that is no UTF-8: configurations are text in UTF-8");
    ++place.column;
    if (text[at] == '\n') place = {source, place.line + 1, 1};
    at += bytes;
  }
}

YamlNode parse(std::string_view text, const std::string& source, YamlNode absent) {
  if (text.size() > kMaximumYamlBytes) {
    throw YamlError({source}, fmt::format("{} bytes; at most {} are read", text.size(), kMaximumYamlBytes));
  }
  refuse_open_brackets(text, source);
  TextStream buffer(text);
  std::istream stream(&buffer);
  try {
    return parse_document(stream, source, std::move(absent));
  } catch (const YAML::Exception& error) {
    const bool known = !error.mark.is_null();
    throw YamlError(
        known ? YamlPlace{source, error.mark.line + 1, error.mark.column + 1} : YamlPlace{source},
        known && has_tabs(text, error.mark.line) ? "a tab: YAML is indented by spaces" : error.msg);
  }
}

}  // namespace

YamlNode parse_yaml(std::string_view text, const std::string& source) {
  YamlNode nothing;
  nothing.kind = YamlNode::Kind::kMap;
  nothing.place.source = source;
  refuse_other_encodings(text, source);
  return parse(text, source, std::move(nothing));
}

YamlNode parse_yaml_value(std::string_view text, const YamlPlace& place) {
  YamlNode value = parse(text, place.to_string(), YamlNode{});
  set_place(value, place);
  return value;
}

}  // namespace troupe
