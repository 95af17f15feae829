#pragma once
#include "conversion/export.h"

namespace troupe::conversion {

/// Writes a checkpoint's model as one GGUF file, `request.output`, for llama.cpp and what is built on it.
/// One-dimensional tensors, biases and routers stay fp32. Throws as export_model(), and kConfig for what the
/// architecture computes otherwise, and without a tokenizer.
ExportReport export_gguf(const ExportRequest& request);

}  // namespace troupe::conversion
