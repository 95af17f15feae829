#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "tensor/parameter.h"

namespace troupe::layers {

/// What a layer says of itself, in a `declare` beside its forward: its parameters, the activation memory
/// that its forward and backward take, and what it computes. A layer is declared as its parts one after
/// another: for each a declaration of its own from part(), given back to add().
class Declaration {
 public:
  /// What matrices begin with, and how fast they learn.
  struct Start {
    double std = 0.02;
    bool xavier = false;           // in layers by rows and columns, in its place
    double residual_factor = 1.0;  // on matrices that write to the residual stream
    double deep_factor = 1.0;      // on those that carry values: DeepNorm's β
    double width = 1.0;            // m of maximal update parametrization, in layers
  };
  /// Of what has no parts yet. prefix: of the parameters' names, "layers/03/"; layer: as ParameterSpec's;
  /// tokens: of the microbatch that memory is declared for.
  struct Place {
    std::string prefix = {};
    std::int64_t layer = -1;
    ParameterPart part = ParameterPart::kMixer;
    std::int64_t tokens = 0;
    Start start = {};
  };
  /// Rows of a parameter that are a matrix of their own.
  struct Rows {
    std::int64_t count;
    bool values = false;  // attention's: they carry what is added to the residual stream
  };
  explicit Declaration(Place place) : place_(std::move(place)) {}

  [[nodiscard]] std::int64_t tokens() const { return place_.tokens; }
  [[nodiscard]] std::int64_t layer() const { return place_.layer; }

  // Parameters. Every token is multiplied with them, but for an embedding's.

  /// [rows, columns] of normal values; init_factor on their standard deviation; 0: begins at 0.
  void matrix(const std::string& name, ParameterRole role, std::int64_t rows, std::int64_t columns,
              double init_factor = 1.0);
  /// Several matrices below each other.
  void matrices(const std::string& name, ParameterRole role, std::span<const Rows> parts,
                std::int64_t columns, double init_factor = 1.0);
  /// [size], begins at `value`.
  void vector(const std::string& name, ParameterRole role, std::int64_t size, float value);
  /// The parameters that `one` declared, once for every expert; a token meets those of `chosen` experts.
  void experts(const Declaration& one, std::int64_t moe_layer, std::int64_t count, double chosen);

  // Activation memory, in elements of 4 bytes, each number for one view that is allocated.

  /// From forward until the end of backward.
  void keep(std::int64_t elements, int views = 1) { kept_ += views * aligned(elements); }
  /// Kept, or made anew for forward and for backward.
  void hold(bool kept, std::int64_t elements);
  /// While forward, or backward, runs, beside what the parts use one after another.
  void use_in_forward(std::int64_t elements, int views = 1) { forward_.own += views * aligned(elements); }
  void use_in_backward(std::int64_t elements, int views = 1) { backward_.own += views * aligned(elements); }

  // Compute of forward, beside 2 floating-point operations per token for each element of a parameter.

  /// Elements of another layer's parameter, which tokens are multiplied with here.
  void multiply(std::int64_t elements) { multiplied_ += static_cast<double>(elements); }
  /// Floating-point operations for each pair of a query and a key that it sees.
  void pair_flops(double flops) { pair_flops_ += flops; }

  [[nodiscard]] Declaration part(const std::string& folder, ParameterPart part) const;
  /// Parts follow each other: they keep at the same time, and use one after the other.
  void add(Declaration part);

  [[nodiscard]] const std::vector<ParameterSpec>& parameters() const { return parameters_; }
  [[nodiscard]] std::int64_t kept_bytes() const;
  [[nodiscard]] std::int64_t used_bytes() const;  // beside kept_bytes(), in forward or backward
  /// Parameters that a token is multiplied with, on average.
  [[nodiscard]] double multiplied() const { return multiplied_; }
  [[nodiscard]] double pair_flops() const { return pair_flops_; }

 private:
  static std::int64_t aligned(std::int64_t elements);
  ParameterSpec& parameter(const std::string& name, ParameterRole role, const Shape& shape);
  [[nodiscard]] double deviation(ParameterRole role, const Rows& rows, std::int64_t columns) const;

  struct Use {
    std::int64_t own = 0;
    std::int64_t of_parts = 0;  // of the one that takes most
    [[nodiscard]] std::int64_t elements() const { return own + of_parts; }
  };

  Place place_;
  std::vector<ParameterSpec> parameters_;
  std::int64_t kept_ = 0;
  Use forward_;
  Use backward_;
  double multiplied_ = 0.0;
  double pair_flops_ = 0.0;
};

}  // namespace troupe::layers
