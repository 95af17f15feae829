#include "cli/data_prepare.h"

#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "data/corpus/description.h"
#include "data/corpus/package_cache.h"
#include "data/corpus/prepare.h"
#include "data/sources/prepare_inputs.h"

namespace troupe::cli {
namespace {

struct PrepareArguments {
  data::InputsRequest request;
  std::string output;
  std::string chat;
  std::string preferences;
  std::optional<std::int64_t> vocab_size;
  std::vector<std::string> only_for_files;  // options that were given and a description does not have
};

/// How far it is, with rate and time left: one line of a terminal, or now and then a line of a log.
class ProgressLine {
 public:
  ~ProgressLine() { clear(); }

  void show(const data::PrepareProgress& progress) {
    if (progress.what != what_) restart(progress.what);
    const TimePoint now = clock_.now();
    if (seconds(now - shown_) < (terminal_ ? 0.5 : 10.0)) return;
    shown_ = now;
    const double mebibytes = static_cast<double>(progress.done_bytes) / (1 << 20);
    const double rate = mebibytes / std::max(seconds(now - start_), 1e-3);
    const double rest = static_cast<double>(progress.total_bytes - progress.done_bytes) / (1 << 20);
    const std::string line = fmt::format("{}: {:.0f} of {:.0f} MiB, {:.1f} MiB/s, {:.0f} s left", what_,
                                         mebibytes, mebibytes + rest, rate, rest / std::max(rate, 1e-3));
    std::fprintf(stderr, terminal_ ? "\r%s\033[K" : "%s\n", line.c_str());
    on_screen_ = terminal_;
  }

  void clear() {
    if (on_screen_) std::fputs("\r\033[K", stderr);
    on_screen_ = false;
  }

 private:
  void restart(const std::string& what) {
    what_ = what;
    start_ = shown_ = clock_.now();
  }

  SystemClock clock_;
  bool terminal_ = ::isatty(STDERR_FILENO) == 1;
  bool on_screen_ = false;
  std::string what_;
  TimePoint start_{};
  TimePoint shown_{};
};

bool is_description(const std::string& input) { return input.ends_with(".yaml") || input.ends_with(".yml"); }

void say_ready(const std::filesystem::path& output, bool worked) {
  std::printf("%s %s; `troupe data inspect %s` shows it\n", output.c_str(),
              worked ? "is ready" : "was ready: nothing it is made from has changed", output.c_str());
}

int prepare_description(const PrepareArguments& arguments) {
  if (!arguments.only_for_files.empty()) {
    throw Error(ErrorCode::kConfig, "{}: a description says this itself; the option is for files and folders",
                arguments.only_for_files.front());
  }
  const std::string& description = arguments.request.inputs.front();
  const std::filesystem::path output =
      arguments.output.empty()
          ? std::filesystem::path("data") / data::load_corpus_description(description).name
          : std::filesystem::path(arguments.output);
  say_ready(output, data::prepare_corpus({.description = description,
                                          .output = output,
                                          .vocab_size = arguments.vocab_size,
                                          .package_cache = data::default_package_cache()}));
  return kSuccess;
}

int prepare_files(PrepareArguments arguments) {
  if (arguments.output.empty())
    throw Error(ErrorCode::kConfig, "--output is missing: name the folder to write the corpus to");
  if (arguments.vocab_size) arguments.request.tokenizer = fmt::format("train:{}", *arguments.vocab_size);
  arguments.request.output = arguments.output;
  data::ParseOptions& parse = arguments.request.parse;
  parse.preferences = !arguments.preferences.empty();
  parse.chat = data::chat_template_named(parse.preferences ? arguments.preferences : arguments.chat);
  ProgressLine line;
  const data::PrepareReport report = data::prepare_inputs(
      arguments.request, [&](const data::PrepareProgress& progress) { line.show(progress); });
  line.clear();
  if (report.continued) log::info("went on where an earlier preparation was interrupted");
  for (const std::string& notice : report.notices) log::warn("{}", notice);
  say_ready(arguments.output, report.worked);
  return kSuccess;
}

int prepare(const PrepareArguments& arguments) {
  log::set_up("data");
  const auto& inputs = arguments.request.inputs;
  if (inputs.size() == 1 && is_description(inputs.front())) return prepare_description(arguments);
  return prepare_files(arguments);
}

void add_file_options(CLI::App& command, const std::shared_ptr<PrepareArguments>& arguments) {
  data::InputsRequest& request = arguments->request;
  const auto add = [&](const char* name, auto& value, const char* help) {
    return command.add_option(name, value, help)
        ->capture_default_str()
        ->group("Of files and folders")
        ->each([arguments, name](const std::string&) { arguments->only_for_files.emplace_back(name); });
  };
  add("--tokenizer", request.tokenizer,
      "tokenizer.json, a folder with one (a corpus, a run), or train:N for a new one of N entries");
  auto* text_field = add("--text-field", request.parse.fields.text,
                         "Member of a JSON line that is the text; meta.body goes inside");
  add("--domain-field", request.parse.fields.domain, "Member of a JSON line that is the domain");
  add("--domain", request.domain, "One domain for all; default: the folder at the top");
  add("--separator", request.read.separator, "Line that separates the documents of a text file");
  add("--document-bytes", request.read.document_bytes,
      "Longer text files are cut into documents at blank lines")
      ->check(CLI::Range(std::int64_t{64}, std::int64_t{1} << 30));
  add("--heldout", request.heldout_fraction, "Part of the documents that is held out for evaluation")
      ->check(CLI::Range(0.0, 0.5));
  add("--cap-bytes", request.cap_bytes, "Bytes of text to take of each domain; 0: all")
      ->check(CLI::NonNegativeNumber);
  add("--max-errors", request.max_errors,
      "Broken documents before it fails; -1: any number, they are left out");
  add("--near-duplicates", request.near_duplicates,
      "Leave out documents about as similar as this to an earlier one (MinHash); 0: only equal ones")
      ->check(CLI::Range(0.0, 1.0));
  add("--threads", request.threads, "Threads that encode")->check(CLI::Range(1, 256));
  command.add_flag("--keep-duplicates", request.keep_duplicates, "Keep documents of equal text")
      ->group("Of files and folders");
  auto* clean =
      command.add_flag("--clean", request.parse.clean, "Unix line ends, no space at the ends of lines")
          ->group("Of files and folders");
  const CLI::IsMember templates({"chatml", "llama3", "qwen3", "plain"});
  auto* chat =
      add("--chat", arguments->chat,
          "JSON lines are conversations (messages with roles, or prompt and completion), written by this "
          "template; "
          "only what the assistant says is learned");
  chat->check(templates)->excludes(text_field)->excludes(clean);
  add("--preferences", arguments->preferences,
      "JSON lines are preferences (prompt, chosen, rejected: texts, or messages with roles), written by this "
      "template; for objective.kind: dpo and reward")
      ->check(templates)
      ->excludes(chat)
      ->excludes(text_field)
      ->excludes(clean);
}

}  // namespace

void add_data_prepare(CLI::App& data, Action& action) {
  const auto arguments = std::make_shared<PrepareArguments>();
  arguments->request.threads = static_cast<int>(std::max(std::thread::hardware_concurrency(), 1U));
  auto* command = data.add_subcommand("prepare", "Make a corpus of texts, ready for training");
  command
      ->add_option(
          "INPUT", arguments->request.inputs,
          "Files, folders or patterns of .txt, .md, .jsonl (also .gz, .zst, .xz), .bin; - is standard "
          "input; or one description, for example configs/corpora/debian.yaml")
      ->required();
  command->add_option("--output", arguments->output,
                      "Folder to write; of a description the default is data/<its name>");
  command->add_option("--vocab", arguments->vocab_size, "Entries of the new tokenizer")
      ->check(CLI::Range(data::kSmallestVocab, data::kLargestVocab));
  add_file_options(*command, arguments);
  command->footer(
      "Examples:\n  troupe data prepare texts/ --output data/mine\n"
      "  troupe data prepare dump.jsonl.zst --text-field body --tokenizer runs/quickstart-1 --output "
      "data/more\n"
      "  troupe data prepare chats.jsonl --chat plain --tokenizer runs/quickstart-1 --output data/chats\n"
      "  troupe data prepare pairs.jsonl --preferences plain --tokenizer runs/chats --output data/pairs\n"
      "  troupe data prepare configs/corpora/debian.yaml --output data/debian");
  command->callback([arguments, &action] { action = [arguments] { return prepare(*arguments); }; });
}

}  // namespace troupe::cli
