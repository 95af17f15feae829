#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/index.h"
#include "cli/arguments/path_option.h"
#include "cli/arguments/this_process.h"
#include "cli/run/loaded_model.h"
#include "cli/run/on_workers.h"
#include "cli/subcommands.h"
#include "comm/collectives/broadcast_text.h"
#include "data/chat/chat_encoder.h"
#include "workers/sampler.h"

namespace troupe::cli {
namespace {

struct GenerateArguments {
  std::string path;
  std::vector<std::string> prompts;
  std::string prompts_file;
  std::int64_t tokens = 64;
  workers::SamplingRule rule;
  std::optional<std::uint64_t> seed;
  std::vector<std::string> stops;
  std::size_t batch = 8;
  std::string chat;
  std::string system;
  bool interactive = false;
  std::string corpus;
  WorkersRequest workers;
  bool json = false;
};

std::vector<std::string> lines_of(std::istream& file, const std::string& name) {
  std::vector<std::string> lines;
  for (std::string line; std::getline(file, line);) {
    if (line.ends_with('\r')) line.pop_back();
    if (!line.empty()) lines.push_back(line);
  }
  if (file.bad()) throw io_error("cannot read " + name);
  return lines;
}

std::vector<std::string> read_prompts(const std::string& path) {
  if (path == "-") return lines_of(std::cin, "stdin");
  std::ifstream file(path);
  if (!file) throw io_error("cannot open " + path);
  auto lines = lines_of(file, path);
  if (lines.empty()) throw Error(ErrorCode::kConfig, "{}: no prompt is in it; write one a line", path);
  return lines;
}

/// Those of the command line, then of the file, which one worker reads for all; without any, the run's.
std::vector<std::string> prompts_of(const GenerateArguments& arguments, LoadedModel& model) {
  std::vector<std::string> prompts = arguments.prompts;
  const std::string& path = arguments.prompts_file;
  if (!path.empty()) {
    std::string text;
    if (model.speaks()) text = fmt::format("{}", fmt::join(read_prompts(path), "\n"));
    std::istringstream lines(comm::broadcast_text(model.world(), text, 0));
    for (std::string& line : lines_of(lines, path)) prompts.push_back(std::move(line));
  }
  return prompts.empty() ? model.config().sampling.prompts : prompts;
}

void warn_of_space(const std::string& prompt) {
  if (!prompt.ends_with(' ')) return;
  std::fprintf(stderr,
               "warning: the prompt \"%s\" ends in a space, which is a token of its own: words were learned "
               "with the space before them, so leave it out\n",
               prompt.c_str());
}

void write(std::string_view text) {
  std::fwrite(text.data(), 1, text.size(), stdout);
  std::fflush(stdout);
  if (std::ferror(stdout) != 0) throw io_error("cannot write to stdout");
}

std::string json_line(const std::string& prompt, const workers::Written& written) {
  static constexpr std::array<std::string_view, 3> kEnds{"length", "end_of_text", "stop"};
  const nlohmann::json line{{"prompt", prompt},
                            {"text", written.text},
                            {"tokens", written.tokens},
                            {"log_probabilities", written.log_probabilities},
                            {"end", kEnds[at(written.end)]}};
  return line.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

std::vector<data::ChatMessage> beginning(const GenerateArguments& arguments) {
  if (arguments.system.empty()) return {};
  return {{.role = data::Role::kSystem, .content = arguments.system}};
}

std::vector<workers::Prompt> make_prompts(const GenerateArguments& arguments, LoadedModel& model) {
  const auto chat = data::chat_template_named(arguments.chat);
  std::optional<data::ChatEncoder> chat_encoder;
  if (chat) chat_encoder.emplace(*chat, model.tokenizer());
  std::vector<workers::Prompt> prompts;
  for (const std::string& text : prompts_of(arguments, model)) {
    workers::Prompt& prompt = prompts.emplace_back();
    prompt.text = text;
    prompt.number = std::ssize(prompts) - 1;
    prompt.step = model.step();
    prompt.seed = arguments.seed;
    prompt.stops = arguments.stops;
    if (chat_encoder) {
      std::vector<data::ChatMessage> said = beginning(arguments);
      said.push_back({.role = data::Role::kUser, .content = text});
      prompt.ids = chat_encoder->encode_question(std::move(said));
      prompt.end = chat_encoder->end_of_turn();
    } else if (model.speaks()) {
      warn_of_space(text);
    }
  }
  return prompts;
}

/// What the workers write together; one of them says it.
class Session {
 public:
  Session(const GenerateArguments& arguments, LoadedModel& model)
      : arguments_(arguments), model_(model), sampler_(model.model(), model.tokenizer()) {}

  void run() {
    if (arguments_.interactive) return converse();
    const std::vector<workers::Prompt> prompts = make_prompts(arguments_, model_);
    return arguments_.json ? write_whole(prompts) : stream(prompts);
  }

 private:
  void say(std::string_view text) const {
    if (model_.speaks()) write(text);
  }

  /// Each text as it is written.
  void stream(std::span<const workers::Prompt> prompts) {
    for (const workers::Prompt& prompt : prompts) {
      say(arguments_.chat.empty() ? prompt.text : prompt.text + "\n");
      sampler_.sample(prompt, arguments_.tokens, arguments_.rule, write);
      say("\n\n");
    }
  }

  /// Texts whole, several at once.
  void write_whole(std::span<const workers::Prompt> prompts) {
    for (std::size_t first = 0; first < prompts.size(); first += arguments_.batch) {
      const auto some = prompts.subspan(first, std::min(arguments_.batch, prompts.size() - first));
      const auto written = sampler_.write(some, arguments_.tokens, arguments_.rule);
      for (std::size_t i = 0; i < some.size(); ++i) say(json_line(some[i].text, written->at(i)));
    }
  }

  /// One conversation: each line of standard input is the user's next message.
  void converse() {
    const data::ChatTemplate chat = *data::chat_template_named(arguments_.chat);
    const data::ChatEncoder encoder(chat, model_.tokenizer());
    std::vector<data::ChatMessage> said = beginning(arguments_);
    std::int64_t number = 0;
    while (const std::optional<std::string> line = next_line()) {
      said.push_back({.role = data::Role::kUser, .content = *line});
      const workers::Prompt prompt{.text = *line,
                                   .number = number++,
                                   .step = model_.step(),
                                   .seed = arguments_.seed,
                                   .ids = encoder.encode_question(said),
                                   .end = encoder.end_of_turn(),
                                   .stops = arguments_.stops};
      const auto written = sampler_.write({&prompt, 1}, arguments_.tokens, arguments_.rule,
                                          arguments_.json ? workers::TextSink() : workers::TextSink(write));
      say(arguments_.json ? json_line(*line, written->front()) : "\n");
      said.push_back(
          data::written_answer(chat, comm::broadcast_text(model_.world(), written->front().text, 0)));
    }
  }

  /// The next one that is not empty, which one worker reads for all.
  [[nodiscard]] std::optional<std::string> next_line() const {
    std::string line;
    if (model_.speaks()) line = read_line();
    line = comm::broadcast_text(model_.world(), line, 0);
    return line.empty() ? std::nullopt : std::optional(line);
  }

  /// Empty at the end.
  [[nodiscard]] std::string read_line() const {
    const bool asks = ::isatty(STDIN_FILENO) == 1 && !arguments_.json;
    for (std::string line; write(asks ? "> " : ""), std::getline(std::cin, line);) {
      if (line.ends_with('\r')) line.pop_back();
      if (!line.empty()) return line;
    }
    if (std::cin.bad()) throw io_error("cannot read stdin");
    return {};
  }

  const GenerateArguments& arguments_;
  LoadedModel& model_;
  workers::Sampler sampler_;
};

int generate(const GenerateArguments& arguments) {
  let_openmp_sleep();
  const LoadOptions options{.path = arguments.path,
                            .corpus = arguments.corpus,
                            .micro_batch = 1,
                            .threads = arguments.workers.threads};
  const auto check = [&](int workers) { check_loadable(options, workers); };
  return on_workers(arguments.workers, check, [&](comm::Communicator& world) {
    LoadedModel model(options, world);
    model.require_language_model();
    Session(arguments, model).run();
    return kSuccess;
  });
}

}  // namespace

void add_generate(CLI::App& program, Action& action) {
  const auto arguments = std::make_shared<GenerateArguments>();
  auto* subcommand = program.add_subcommand("generate", "Let a trained model write");
  add_path(*subcommand, "RUN", arguments->path,
           "Folder of a run (its newest checkpoint), of a checkpoint, or of a Hugging Face model")
      ->required();
  subcommand
      ->add_option("--prompt", arguments->prompts,
                   "What it goes on from, without a space at the end; may be given several times; by default "
                   "the run's sampling.prompts")
      ->default_str("")
      ->take_all();
  subcommand->add_option("--prompts", arguments->prompts_file, "File with a prompt a line; -: stdin");
  subcommand->add_option("--tokens", arguments->tokens, "At most this many tokens")
      ->check(CLI::Range(1, 100000));
  subcommand->add_option("--temperature", arguments->rule.temperature, "0: always the most likely token")
      ->check(CLI::Range(0.0, 100.0));
  subcommand->add_option("--top-k", arguments->rule.top_k, "Choose among the k most likely tokens; 0: all")
      ->check(CLI::NonNegativeNumber);
  subcommand
      ->add_option("--top-p", arguments->rule.top_p,
                   "Choose among the fewest most likely tokens that are together as likely as this")
      ->check(CLI::Range(0.0, 1.0));
  subcommand
      ->add_option("--min-p", arguments->rule.min_p,
                   "Choose among tokens at least this part as likely as the most likely one")
      ->check(CLI::Range(0.0, 1.0));
  subcommand
      ->add_option("--stop", arguments->stops, "A text that ends what is written; may be given several times")
      ->default_str("")
      ->take_all();
  subcommand->add_option("--batch", arguments->batch, "With --json: prompts that are written on at once")
      ->check(CLI::Range(1, 4096));
  subcommand->add_option("--seed", arguments->seed, "Of the choice of tokens; by default the run's seed");
  auto* chat = subcommand->add_option(
      "--chat", arguments->chat,
      "Prompts are a user's messages, written by this template: that of `troupe data prepare "
      "--chat`; what is written is the answer");
  chat->check(CLI::IsMember({"chatml", "llama3", "qwen3", "plain"}));
  subcommand->add_option("--system", arguments->system, "With --chat: the system's message before all others")
      ->needs(chat);
  subcommand
      ->add_flag("--interactive", arguments->interactive,
                 "With --chat: a conversation; every line of stdin is the user's next message")
      ->needs(chat)
      ->excludes("--prompt")
      ->excludes("--prompts");
  add_path(*subcommand, "--corpus", arguments->corpus, "Folder with the tokenizer, when the corpus moved");
  arguments->workers.add_to(*subcommand);
  subcommand->add_flag(
      "--json", arguments->json,
      "One JSON object per prompt: its text, tokens, their log-probabilities, and what ended it");
  subcommand->footer(
      "Examples:\n"
      "  troupe generate runs/quickstart-1 --prompt \"To insert\" --prompt \"Wenn Sie\" --tokens 100\n"
      "  troupe generate runs/quickstart-1 --prompts prompts.txt --seed 2 --json\n"
      "  troupe generate runs/quickstart-1 --prompt \"It\" --temperature 1 --top-k 0 --top-p 0.9 --stop .\n"
      "  troupe generate runs/chats --chat plain --prompt \"What is the capital of Japan?\"\n"
      "  troupe generate runs/chats --chat plain --interactive\n"
      "  troupe generate runs/large --workers 4 --prompt \"The\"    experts shared by four processes\n"
      "  mpirun -n 8 --hostfile hosts troupe generate runs/large --prompt \"The\"");
  subcommand->callback([arguments, &action] { action = [arguments] { return generate(*arguments); }; });
}

}  // namespace troupe::cli
