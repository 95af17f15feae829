#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <fstream>
#include <map>
#include <sstream>

#include "op_check.h"
#ifdef TROUPE_CUDA_EMULATED
#include "tensor/cuda/emulation/runtime.h"
#endif

namespace troupe::op_check {
namespace {

constexpr int kPassed = 0;
constexpr int kFailed = 1;
constexpr int kUsage = 2;
constexpr int kSkipped = 77;

struct Arguments {
  std::string only;     // cases of ops that begin so
  std::string digests;  // file to compare with
  std::string write;    // file to write
  int repeats = 3;
  bool timings = false;
};

/// FNV-1a over the bits of all outputs.
std::uint64_t digest_of(const std::vector<Comparison>& comparisons) {
  std::uint64_t hash = 0xCBF29CE484222325ULL;
  for (const auto& comparison : comparisons) {
    for (const std::byte byte : comparison.bits) {
      hash = (hash ^ static_cast<std::uint64_t>(byte)) * 0x100000001B3ULL;
    }
  }
  return hash;
}

/// "op/case digest" lines.
std::map<std::string, std::string> read_digests(const std::string& path) {
  std::map<std::string, std::string> digests;
  std::ifstream file(path);
  if (!file) throw Error(ErrorCode::kIo, "cannot read {}", path);
  for (std::string line; std::getline(file, line);) {
    const auto space = line.rfind(' ');
    if (!line.starts_with('#') && space != std::string::npos)
      digests[line.substr(0, space)] = line.substr(space + 1);
  }
  return digests;
}

void set_order([[maybe_unused]] int repeat) {
#ifdef TROUPE_CUDA_EMULATED
  cuda::emulation::set_seed(static_cast<std::uint64_t>(repeat) + 1);
#endif
}

struct Verdict {
  double error = 0.0;
  bool near = true;     // every output within its tolerance
  bool repeats = true;  // every run gave the same bits
  std::string digest;
  std::string worst;  // output
};

Verdict run_case(device::Device& device, const Case& a_case, int repeats) {
  Verdict verdict;
  for (int repeat = 0; repeat < repeats; ++repeat) {
    set_order(repeat);
    Run run(device);
    a_case.body(run);
    device.compute().synchronize();
    for (const auto& comparison : run.comparisons()) {
      if (!(comparison.error <= comparison.tolerance)) verdict.near = false;
      if (!(comparison.error <= verdict.error)) {
        verdict.error = comparison.error;
        verdict.worst = comparison.output;
      }
    }
    const std::string digest = fmt::format("{:016x}", digest_of(run.comparisons()));
    if (repeat > 0 && digest != verdict.digest) verdict.repeats = false;
    verdict.digest = digest;
  }
  return verdict;
}

int check_ops(const Arguments& arguments) {
  std::vector<Case> cases;
  add_gemm_cases(cases);
  add_attention_cases(cases);
  add_block_cases(cases);
  add_row_cases(cases);
  add_loss_cases(cases);
  add_routing_cases(cases);
  add_slot_cases(cases);
  add_update_cases(cases);
  device::Device device;
  std::printf("device: %s\n", device.name().c_str());
  const auto known =
      arguments.digests.empty() ? std::map<std::string, std::string>() : read_digests(arguments.digests);
  std::ofstream written;
  if (!arguments.write.empty()) written.open(arguments.write);
  std::printf("%-64s %10s %7s %6s  %s\n", "op/case", "error", "repeat", "digest", "verdict");
  std::map<std::string, bool> ops;
  bool all_equal = true;
  for (const auto& a_case : cases) {
    if (!a_case.op.starts_with(arguments.only)) continue;
    const std::string name = a_case.op + "/" + a_case.name;
    Verdict verdict;
    try {
      verdict = run_case(device, a_case, arguments.repeats);
    } catch (const NotHere& missing) {
      std::printf("%-64s not checked: %s\n", name.c_str(), missing.why.c_str());
      continue;
    }
    const auto expected = known.find(name);
    const bool equal = expected != known.end() && expected->second == verdict.digest;
    const bool compared = !arguments.digests.empty() && !a_case.bits_of_a_library;
    const char* digest = !compared ? "-" : expected == known.end() ? "new" : equal ? "equal" : "OTHER";
    const bool passed = verdict.near && verdict.repeats && (!compared || equal);
    std::printf("%-64s %10.2e %7s %6s  %s %s\n", name.c_str(), verdict.error,
                verdict.repeats ? "equal" : "OTHER", digest, passed ? "passed" : "FAILED",
                verdict.near ? "" : verdict.worst.c_str());
    std::fflush(stdout);
    if (written && !a_case.bits_of_a_library) written << name << " " << verdict.digest << "\n";
    const auto [op, added] = ops.try_emplace(a_case.op, true);
    op->second = op->second && passed;
    all_equal = all_equal && equal;
  }
  const bool all_passed = std::ranges::all_of(ops, [](const auto& op) { return op.second; });
  for (const auto& [op, passed] : ops) std::printf("op %s %s\n", op.c_str(), passed ? "passed" : "FAILED");
  std::printf("%zu ops, %s\n", ops.size(), all_passed ? "all passed" : "NOT all passed");
  if (ops.empty()) throw Error(ErrorCode::kConfig, "no op begins with '{}'", arguments.only);
  return all_passed ? kPassed : kFailed;
}

int run(const Arguments& arguments) {
  if (device::Device::count() == 0) {
    std::puts("SKIPPED: no CUDA device here");
    return kSkipped;
  }
  if (!arguments.timings) return check_ops(arguments);
  device::Device device;
  print_timings(device);
  return kPassed;
}

}  // namespace
}  // namespace troupe::op_check

int main(int argc, char** argv) {
  using namespace troupe::op_check;
  Arguments arguments;
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    const auto value = [&](const char* option) { return argument.substr(std::strlen(option)); };
    if (argument.starts_with("--only=")) {
      arguments.only = value("--only=");
    } else if (argument.starts_with("--digests=")) {
      arguments.digests = value("--digests=");
    } else if (argument.starts_with("--write-digests=")) {
      arguments.write = value("--write-digests=");
    } else if (argument.starts_with("--repeats=")) {
      arguments.repeats = std::atoi(value("--repeats=").c_str());
    } else if (argument == "--timings") {
      arguments.timings = true;
    } else {
      std::fprintf(
          stderr,
          "usage: op_check [--only=OP] [--digests=FILE] [--write-digests=FILE] [--repeats=N] [--timings]\n");
      return kUsage;
    }
  }
  try {
    return run(arguments);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "op_check: %s\n", error.what());
    return kFailed;
  }
}
