#include "coordinator/job/host_probe.h"

#include <fcntl.h>
#include <sys/wait.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <memory>
#include <optional>
#include <sstream>
#include <thread>

#include "base/child_process.h"
#include "base/error.h"

namespace troupe::coordinator {
namespace {

using Milliseconds = std::chrono::milliseconds;
using Words = std::vector<std::string>;

constexpr Milliseconds kPollInterval{10};
constexpr const char* kAgentOption = "plm_rsh_agent";

/// One host's `true`, in a process group of its own.
class Probe {
 public:
  Probe(const std::string& host, const Words& agent, const FileDescriptor& nowhere) {
    Command command{.arguments = agent, .environment = {}, .end_signal = SIGKILL};
    command.arguments.insert(command.arguments.end(), {host, "true"});
    process_ = start_child(command, nowhere, nowhere);
  }
  ~Probe() {
    if (is_over()) return;
    ::kill(-process_, SIGKILL);
    while (::waitpid(process_, nullptr, 0) < 0 && errno == EINTR) {
    }
  }
  Probe(const Probe&) = delete;
  Probe& operator=(const Probe&) = delete;

  [[nodiscard]] bool is_over() {
    int status = 0;
    if (!status_ && ::waitpid(process_, &status, WNOHANG) == process_) status_ = status;
    return status_.has_value();
  }
  [[nodiscard]] bool succeeded() { return is_over() && WIFEXITED(*status_) && WEXITSTATUS(*status_) == 0; }

 private:
  pid_t process_ = -1;
  std::optional<int> status_;
};

Words words_of(const std::string& text) {
  std::istringstream stream(text);
  Words words;
  for (std::string word; stream >> word;) words.push_back(std::move(word));
  return words;
}

/// Open MPI's notation: alternatives are separated by colons, and the first is taken.
Words agent_of(const std::string& text) {
  Words words = words_of(text.substr(0, text.find(':')));
  return words.empty() ? Words{"ssh"} : words;
}

}  // namespace

std::vector<std::string> remote_agent(const LaunchOptions& launch) {
  const Words& arguments = launch.mpirun_args;
  const auto option = std::ranges::find(arguments, kAgentOption);
  if (option != arguments.end() && option + 1 != arguments.end()) return agent_of(*(option + 1));
  const char* agent = std::getenv("OMPI_MCA_plm_rsh_agent");
  return agent_of(agent == nullptr ? "" : agent);
}

std::vector<bool> probe_hosts(const std::vector<std::string>& hosts, const std::vector<std::string>& agent,
                              Milliseconds limit) {
  const FileDescriptor nowhere = FileDescriptor::open("/dev/null", O_WRONLY);
  std::vector<std::unique_ptr<Probe>> probes;
  for (const std::string& host : hosts) probes.push_back(std::make_unique<Probe>(host, agent, nowhere));
  const auto all_over = [&] {
    return std::ranges::all_of(probes, [](auto& probe) { return probe->is_over(); });
  };
  for (Milliseconds waited{0}; waited < limit && !all_over(); waited += kPollInterval)
    std::this_thread::sleep_for(kPollInterval);
  std::vector<bool> answers;
  for (const auto& probe : probes) answers.push_back(probe->succeeded());
  return answers;
}

}  // namespace troupe::coordinator
