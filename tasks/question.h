#pragma once
#include <cstddef>
#include <string>
#include <vector>

namespace troupe::tasks {

/// An answer that is offered, and the text that it goes on from.
struct Choice {
  std::string context;
  std::string answer;  // begins with its space
};

/// One question of a task. With choices, the likelihood of their answers decides; without, the model writes,
/// and is right when its first line is the expected one.
struct Question {
  std::vector<Choice> choices;
  std::size_t right = 0;  // of the choices

  std::string context;   // without choices
  std::string expected;  // likewise

  std::string group;  // results are also given by it: a subject, a length; empty: none
};

}  // namespace troupe::tasks
