/// libFuzzer's entry: TROUPE_FUZZ_TARGET says which target (scripts/fuzz.sh).
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "base/log.h"
#include "tests/fuzz/targets.h"

namespace {

const troupe::fuzz::Target& chosen_target() {
  const char* name = std::getenv("TROUPE_FUZZ_TARGET");
  const auto targets = troupe::fuzz::targets();
  const auto found =
      std::ranges::find(targets, std::string(name == nullptr ? "" : name), &troupe::fuzz::Target::name);
  if (found != targets.end()) return *found;
  for (const auto& target : targets) std::fprintf(stderr, "%s\n", std::string(target.name).c_str());
  std::exit(2);
}

}  // namespace

/// HDF5 1.10.8 loses what it had read of an object header that then turns out to be none.
extern "C" const char* __lsan_default_suppressions() { return "leak:libhdf5"; }

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const troupe::fuzz::Target& target = chosen_target();
  static_cast<void>(troupe::fuzz::read(target, {reinterpret_cast<const char*>(data), size}));
  return 0;
}
