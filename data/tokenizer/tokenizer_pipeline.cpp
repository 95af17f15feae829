#include "data/tokenizer/tokenizer_pipeline.h"

#include <array>
#include <functional>

#include "data/tokenizer/json_places.h"

namespace troupe::data {
namespace {

using nlohmann::json;

/// A literal text as a pattern.
std::string literal_pattern(std::string_view text) {
  std::string pattern;
  for (const char c : text) {
    if (std::string_view("\\^$.|?*+()[]{}#-").find(c) != std::string_view::npos) pattern += '\\';
    pattern += c;
  }
  return pattern;
}

class PipelineReader : JsonPlaces {
 public:
  PipelineReader(const json& document, const std::string& name) : JsonPlaces(document, name) {}

  TokenizerRules rules() {
    const json& model = member(document_, "", "model");
    rules_.byte_fallback = flag_of(model, "/model", "byte_fallback", false);
    rules_.ignore_merges = flag_of(model, "/model", "ignore_merges", false);
    rules_.gpt2_pattern = false;
    for_each_stage("normalizer", "normalizers", [&](const json& stage, const auto& place, const auto& type) {
      read_normalizer(stage, place, type);
    });
    for_each_stage("pre_tokenizer", "pretokenizers",
                   [&](const json& stage, const auto& place, const auto& type) {
                     read_pre_tokenizer(stage, place, type);
                   });
    check_decoder();
    if (!rules_.byte_fallback && !byte_level_)
      fail("/pre_tokenizer", "\"ByteLevel\" is needed where the model has no byte_fallback");
    if (rules_.byte_fallback && !marks_spaces_)
      fail("/normalizer", "with byte_fallback, spaces are to become \"▁\"");
    return rules_;
  }

  std::string begin_of_text() const {
    std::string begin;
    for_each_stage("post_processor", "processors",
                   [&](const json& stage, const auto& place, const auto& type) {
                     if (type == "ByteLevel") return;
                     if (type != "TemplateProcessing")
                       fail(place + "/type",
                            "\"{}\" is not supported, only \"ByteLevel\" and \"TemplateProcessing\"", type);
                     const json& single = member(stage, place, "single");
                     if (!single.is_array() || single.empty())
                       fail(place + "/single", "a list is needed here");
                     if (const json* special = optional_member(single[0], "SpecialToken"))
                       begin = string_of(member(*special, place + "/single/0", "id"), place + "/single/0/id");
                   });
    return begin;
  }

 private:
  using Visit = std::function<void(const json& stage, const std::string& place, const std::string& type)>;

  /// Visits the stages of a member that may be null, one stage or a Sequence of them.
  void for_each_stage(const char* key, const char* list_key, const Visit& visit) const {
    const json* stage = optional_member(document_, key);
    if (stage == nullptr) return;
    visit_stage(*stage, std::string("/") + key, list_key, visit);
  }

  void visit_stage(const json& stage, const std::string& place, const char* list_key,
                   const Visit& visit) const {
    const std::string& type = string_of(member(stage, place, "type"), place + "/type");
    if (type != "Sequence") return visit(stage, place, type);
    const json& list = member(stage, place, list_key);
    if (!list.is_array()) fail(place + "/" + list_key, "a list is needed here");
    for (std::size_t i = 0; i < list.size(); ++i)
      visit_stage(list[i], fmt::format("{}/{}/{}", place, list_key, i), list_key, visit);
  }

  void read_normalizer(const json& stage, const std::string& place, const std::string& type) {
    if (type == "NFC") {
      rules_.compose = true;
    } else if (type == "Prepend" && member(stage, place, "prepend") == json(kSpaceMark)) {
      rules_.prefix_space = PrefixSpace::kAlways;
    } else if (type == "Replace" && member(stage, place, "content") == json(kSpaceMark) &&
               member(stage, place, "pattern") == json{{"String", " "}}) {
      marks_spaces_ = true;
    } else {
      fail(place, "{} is not supported, only NFC, and \"▁\" before a text and for spaces", shortened(stage));
    }
  }

  void read_pre_tokenizer(const json& stage, const std::string& place, const std::string& type) {
    if (byte_level_) fail(place, "a stage after \"ByteLevel\" is not supported");
    if (type == "ByteLevel") return read_byte_level(stage, place);
    if (type == "Split") return read_split(stage, place);
    if (type == "Metaspace") return read_metaspace(stage, place);
    if (type == "Digits") {
      const bool one_by_one = flag_of(stage, place, "individual_digits", false);
      rules_.splits.push_back({one_by_one ? R"(\p{N})" : R"(\p{N}+)"});
      return;
    }
    fail(place + "/type", "\"{}\" is not supported, only ByteLevel, Split, Digits, Metaspace and Sequence",
         type);
  }

  void read_byte_level(const json& stage, const std::string& place) {
    if (rules_.byte_fallback) fail(place, "\"ByteLevel\" beside byte_fallback is not supported");
    if (flag_of(stage, place, "add_prefix_space", true))
      fail(place + "/add_prefix_space", "only false is supported");
    byte_level_ = true;
    rules_.gpt2_pattern = flag_of(stage, place, "use_regex", true);
  }

  void read_split(const json& stage, const std::string& place) {
    const json& pattern = member(stage, place, "pattern");
    const json* regex = optional_member(pattern, "Regex");
    const json* text = optional_member(pattern, "String");
    if (regex == nullptr && text == nullptr) fail(place + "/pattern", "Regex or String is needed here");
    SplitStep step{regex != nullptr ? string_of(*regex, place + "/pattern/Regex")
                                    : literal_pattern(string_of(*text, place + "/pattern/String"))};
    const std::string& behaviour = string_of(member(stage, place, "behavior"), place + "/behavior");
    step.behaviour = behaviour_of(behaviour, flag_of(stage, place, "invert", false), place);
    rules_.splits.push_back(std::move(step));
  }

  /// Patterns of GPT-4's kind match everything: then what is removed between the matches is nothing.
  SplitStep::Behaviour behaviour_of(const std::string& name, bool invert, const std::string& place) const {
    if (name == "Removed" && invert) return SplitStep::Behaviour::kIsolated;
    if (invert) fail(place + "/invert", "only false is supported, save with \"Removed\"");
    if (name == "Isolated") return SplitStep::Behaviour::kIsolated;
    if (name == "MergedWithPrevious") return SplitStep::Behaviour::kMergedWithPrevious;
    if (name == "MergedWithNext") return SplitStep::Behaviour::kMergedWithNext;
    if (name == "Contiguous") return SplitStep::Behaviour::kContiguous;
    fail(place + "/behavior", "\"{}\" is not supported: it would drop text", name);
  }

  void read_metaspace(const json& stage, const std::string& place) {
    if (member(stage, place, "replacement") != json(kSpaceMark))
      fail(place + "/replacement", "only \"▁\" is supported");
    marks_spaces_ = true;
    const json* scheme = optional_member(stage, "prepend_scheme");
    const std::string prepend = scheme == nullptr ? "always" : string_of(*scheme, place + "/prepend_scheme");
    if (prepend == "always") rules_.prefix_space = PrefixSpace::kUnless;
    if (prepend == "first") rules_.prefix_space = PrefixSpace::kOnce;
    if (flag_of(stage, place, "split", true))
      rules_.splits.push_back({std::string(kSpaceMark), SplitStep::Behaviour::kMergedWithNext});
  }

  /// Decoding is known from the rest, save whether it takes away a first space.
  void check_decoder() {
    for_each_stage("decoder", "decoders",
                   [&](const json& stage, const std::string& place, const std::string& type) {
                     static constexpr std::array<std::string_view, 5> kKnown = {
                         "ByteLevel", "Replace", "ByteFallback", "Fuse", "Metaspace"};
                     if (type == "Strip") {
                       rules_.strips_first_space = member(stage, place, "start") == json(1);
                     } else if (std::ranges::find(kKnown, type) == kKnown.end()) {
                       fail(place + "/type", "\"{}\" is not supported", type);
                     }
                     if (type == "Metaspace")
                       rules_.strips_first_space = rules_.prefix_space != PrefixSpace::kNever;
                   });
  }

  TokenizerRules rules_;
  bool byte_level_ = false;
  bool marks_spaces_ = false;
};

}  // namespace

TokenizerRules read_rules(const json& document, const std::string& name) {
  return PipelineReader(document, name).rules();
}

std::string read_begin_of_text(const json& document, const std::string& name) {
  return PipelineReader(document, name).begin_of_text();
}

}  // namespace troupe::data
