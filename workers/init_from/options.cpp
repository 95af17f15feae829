#include "workers/init_from/options.h"

namespace troupe::workers {

void describe(Fields& fields, InitFromOptions& options) {
  fields.optional_text("checkpoint", options.checkpoint,
                       "Folder of the checkpoint whose weights the run begins with, as --init-from sets it; "
                       "null: initial values");
  fields.flag(
      "branch", options.branch,
      "Go on from all of that checkpoint, with the optimizer's state and its place in the data, as --from "
      "sets it; false: only its weights");
  fields.real("noise", options.noise, {0.0, 1e3},
              "Noise on the weights of experts that are copies of another, in initial standard deviations");
  fields.choice("slice_scale", options.slice_scale, kSliceScaleNames,
                "Slices of a dense layer: exact, their factor is on down_proj; spread, its root is on every "
                "projection (arXiv 2410.07524)");
}

}  // namespace troupe::workers
