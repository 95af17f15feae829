#pragma once
#include <filesystem>
#include <string_view>
#include <vector>

#include "tasks/question.h"

namespace troupe::tasks {

/// Reads a task: a JSON object a line, in one of the forms that benchmarks are published in, told by the
/// members of each line. How each becomes text is that of EleutherAI's lm-evaluation-harness.
///
/// | form | members |
/// |---|---|
/// | HellaSwag | ctx, endings, label; activity_label |
/// | ARC, OpenBookQA | question {stem, choices [{text, label}]}, answerKey; or question (question_stem),
/// choices {text, label}, answerKey | | PIQA | goal, sol1, sol2, label | | WinoGrande | sentence with a _,
/// option1, option2, answer (1 or 2) | | MMLU | question, choices, answer (0… or A…); subject | | own, to
/// choose from | context, choices, answer (0…); group | | own, in words | context, answer (text); group |
///
/// Throws kConfig naming file and line for a line of none of them, and for a file without any; kIo.
[[nodiscard]] std::vector<Question> read_questions(const std::filesystem::path& path);

/// One line; `where` names it in errors.
[[nodiscard]] Question parse_question(std::string_view line, std::string_view where);

}  // namespace troupe::tasks
