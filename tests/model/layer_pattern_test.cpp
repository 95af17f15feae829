#include <gtest/gtest.h>

#include "base/error.h"
#include "model/key_spans.h"
#include "model/layer_spec.h"

namespace troupe::model {
namespace {

ModelOptions with_mixers() {
  ModelOptions options;
  options.layers = 7;
  AttentionOptions local;
  local.window = 4;
  options.mixers = {{"full", {}}, {"local", local}};
  options.layer_pattern = {"local*2", "full"};
  return options;
}

std::vector<std::int64_t> windows(const ModelOptions& options) {
  std::vector<std::int64_t> found;
  for (const LayerSpec& layer : layer_specs(options)) found.push_back(layer.mixer.window);
  return found;
}

TEST(LayerPattern, IsRepeatedOverTheLayers) {
  EXPECT_EQ(windows(with_mixers()), (std::vector<std::int64_t>{4, 4, 0, 4, 4, 0, 4}));
}

TEST(LayerPattern, LayersByNumberAreExceptions) {
  ModelOptions options = with_mixers();
  options.layer_exceptions = {{"0", "full"}, {"5", "local"}};
  EXPECT_EQ(windows(options), (std::vector<std::int64_t>{0, 4, 0, 4, 4, 4, 4}));
}

TEST(LayerPattern, WithoutNamedMixersTheOneIsEverywhere) {
  ModelOptions options;
  options.attention.window = 9;
  EXPECT_EQ(windows(options), (std::vector<std::int64_t>(4, 9)));
}

TEST(LayerPattern, RefusesUnknownNamesAndCounts) {
  for (const char* item : {"other", "local*0", "local*x", "local*", "local*99999"}) {
    ModelOptions options = with_mixers();
    options.layer_pattern = {item};
    EXPECT_THROW(static_cast<void>(layer_specs(options)), Error) << item;
  }
}

// A sequence of two documents; the second begins at place 5.
TEST(KeySpans, EndAtTheDocumentTheWindowAndTheChunk) {
  const KeySpan whole;
  KeySpan window;
  window.window = 3;
  KeySpan chunk;
  chunk.chunk = 2;
  const auto first = [](const KeySpan& span, std::int64_t place) {
    return span.first_visible(place, place < 5 ? 0 : 5,
                              static_cast<std::int32_t>(place < 5 ? place : place - 5));
  };
  EXPECT_EQ(first(whole, 4), 0);
  EXPECT_EQ(first(whole, 8), 5);
  EXPECT_EQ(first(window, 1), 0);
  EXPECT_EQ(first(window, 4), 2);
  EXPECT_EQ(first(window, 6), 5);
  EXPECT_EQ(first(window, 8), 6);
  EXPECT_EQ(first(chunk, 3), 2);
  EXPECT_EQ(first(chunk, 5), 5);
  EXPECT_EQ(first(chunk, 6), 5);
  EXPECT_EQ(first(chunk, 7), 7);
}

}  // namespace
}  // namespace troupe::model
