#include "base/json_outline.h"

#include <gtest/gtest.h>

#include <string>

namespace troupe {
namespace {

TEST(JsonOutline, CountsNestingAndTheMembersOfTheOutermostObject) {
  const JsonOutline outline = json_outline(R"({"a": {"b": [1, {"c": 2}]}, "d": [], "a": 3})");
  EXPECT_EQ(outline.depth, 4);
  EXPECT_EQ(outline.members, 3);
  EXPECT_EQ(json_outline("17").depth, 0);
}

TEST(JsonOutline, WhatStandsInStringsIsText) {
  const JsonOutline outline = json_outline(R"({"a{[:\"{": "\\", "b": "]:[{{"})");
  EXPECT_EQ(outline.depth, 1);
  EXPECT_EQ(outline.members, 2);
}

TEST(JsonOutline, TextThatEndsAnywhereIsRead) {
  EXPECT_EQ(json_outline(R"("\)").depth, 0);
  EXPECT_EQ(json_outline(std::string(1'000'000, '[')).depth, 1'000'000);
  EXPECT_EQ(json_outline("]]]]{").depth, 0);
}

}  // namespace
}  // namespace troupe
