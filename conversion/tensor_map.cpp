#include "conversion/tensor_map.h"

#include "base/error.h"
#include "base/index.h"
#include "model/layer_spec.h"
#include "model/parameters.h"
#include "workers/checkpoint/checkpoint.h"

namespace troupe::conversion {
namespace {

std::string replaced(std::string text, std::string_view what, std::int64_t number) {
  const std::size_t place = text.find(what);
  if (place != std::string::npos) text.replace(place, what.size(), std::to_string(number));
  return text;
}

std::string name_of(const std::string& pattern, std::int64_t layer, std::int64_t expert) {
  return replaced(replaced(pattern, "{l}", layer), "{e}", expert);
}

bool is_stacked(const NamedPart& part, const ParameterSpec& spec) {
  return spec.kind == ParameterKind::kExpert && part.name.find("{e}") == std::string::npos;
}

std::int64_t columns_of(const ParameterSpec& spec) { return spec.shape.rank() == 1 ? 1 : spec.shape[1]; }

/// Shape of the tensor that has `rows` rows of ours; of one expert, where they are not stacked.
std::vector<std::int64_t> shape_of(const NamedPart& part, const ParameterSpec& spec, std::int64_t rows) {
  const std::int64_t outputs = rows * part.step;
  std::vector<std::int64_t> shape;
  if (is_stacked(part, spec)) shape.push_back(spec.experts);
  if (spec.shape.rank() == 1) {
    shape.push_back(outputs);
  } else if (part.transposed) {
    shape.insert(shape.end(), {columns_of(spec), outputs});
  } else {
    shape.insert(shape.end(), {outputs, columns_of(spec)});
  }
  return shape;
}

/// all: rows of the part
Slice slice_of(const NamedPart& part, const ParameterSpec& spec, std::int64_t all, const RowBlock& block) {
  const std::int64_t columns = columns_of(spec);
  const std::int64_t outputs = all * part.step;
  const std::int64_t row = part.transposed ? 1 : columns;
  Slice slice{.begin = (part.first + part.step * block.first) * row,
              .rows = block.rows,
              .columns = columns,
              .row_stride = part.step * row,
              .column_stride = part.transposed ? outputs : 1};
  if (is_stacked(part, spec)) slice.begin += spec.expert * outputs * columns;
  return slice;
}

std::int64_t rows_of(const std::vector<RowBlock>& blocks) {
  std::int64_t rows = 0;
  for (const RowBlock& block : blocks) rows += block.rows;
  return rows;
}

/// Of every head `rows` from `first` on, of `all`.
void add_heads(std::int64_t heads, std::int64_t all, std::int64_t first, std::int64_t rows,
               std::vector<RowBlock>& blocks) {
  for (std::int64_t head = 0; head < heads; ++head) blocks.push_back({head * all + first, rows});
}

/// Channel i of the first half of a head, then channel i of its second half.
std::vector<RowBlock> pair_blocks(std::int64_t heads, std::int64_t head_dim) {
  std::vector<RowBlock> blocks;
  for (std::int64_t head = 0; head < heads; ++head) {
    for (std::int64_t channel = 0; channel < head_dim; ++channel) {
      const std::int64_t half = channel / (head_dim / 2);
      blocks.push_back({head * head_dim + 2 * (channel % (head_dim / 2)) + half, 1});
    }
  }
  return blocks;
}

std::vector<RowBlock> latent_query_blocks(const model::AttentionOptions& mixer) {
  const std::int64_t nope = mixer.latent.nope_dim;
  const std::int64_t rotated = mixer.latent.rope_dim;
  std::vector<RowBlock> blocks;
  for (std::int64_t head = 0; head < mixer.heads; ++head) {
    blocks.push_back({head * (nope + rotated) + nope, rotated});
    blocks.push_back({head * (nope + rotated), nope});
  }
  return blocks;
}

std::vector<RowBlock> latent_up_blocks(const model::AttentionOptions& mixer) {
  const std::int64_t nope = mixer.latent.nope_dim;
  const std::int64_t values = mixer.latent.value_dim;
  std::vector<RowBlock> blocks;
  add_heads(mixer.heads, nope + values, 0, nope, blocks);
  add_heads(mixer.heads, nope + values, nope, values, blocks);
  return blocks;
}

}  // namespace

TensorMap::TensorMap(const Family& family, const model::ModelOptions& options, std::int64_t vocab_size)
    : family_(family), options_(options), specs_(model::parameter_specs(options, vocab_size)) {
  for (const ParameterSpec& spec : specs_) add(spec);
  if (!family.names.router_bias.empty()) add_router_biases();
  add_repeated();
}

const std::vector<NamedPart>& TensorMap::named_parts(const ParameterSpec& spec) const {
  const std::string prefix = spec.layer < 0 ? "" : model::layer_prefix(options_, spec.layer);
  const auto found = family_.names.parts.find(spec.name.substr(prefix.size()));
  if (found != family_.names.parts.end()) return found->second;
  throw Error(ErrorCode::kConfig, "a model of type '{}' has no tensor for {}", family_.model_type, spec.name);
}

std::vector<RowBlock> TensorMap::blocks_of(const NamedPart& part, const ParameterSpec& spec) const {
  const model::AttentionOptions mixer =
      spec.layer < 0 ? model::AttentionOptions{} : model::layer_spec(options_, spec.layer).mixer;
  switch (part.rows) {
    case Rows::kAll:
      return {{0, spec.shape[0]}};
    case Rows::kHalf:
      return {{0, spec.shape[0] / 2}};
    case Rows::kQuery:
      return {{0, mixer.heads * mixer.head_dim}};
    case Rows::kKeyValue:
      return {{0, mixer.kv_heads * mixer.head_dim}};
    case Rows::kLatentQuery:
      return latent_query_blocks(mixer);
    case Rows::kLatentDown:
      return {{mixer.latent.kv_rank, mixer.latent.rope_dim}, {0, mixer.latent.kv_rank}};
    case Rows::kLatentUp:
      return latent_up_blocks(mixer);
    case Rows::kQueryPairs:
      return pair_blocks(mixer.heads, mixer.head_dim);
    case Rows::kKeyPairs:
      return pair_blocks(mixer.kv_heads, mixer.head_dim);
  }
  return {};
}

std::vector<Part> TensorMap::parts(const ParameterSpec& spec) const {
  std::vector<Part> parts;
  std::int64_t rows = 0;
  for (const NamedPart& part : named_parts(spec)) {
    const auto blocks = blocks_of(part, spec);
    const std::int64_t all = rows_of(blocks);
    for (const RowBlock& block : blocks)
      parts.push_back({name_of(part.name, spec.layer, spec.expert), slice_of(part, spec, all, block)});
    rows += all;
  }
  TROUPE_CHECK(rows == spec.shape[0], "{}: {} rows of {} have names", spec.name, rows, spec.shape[0]);
  return parts;
}

void TensorMap::add(const ParameterSpec& spec) {
  std::int64_t begin = spec.global_begin();
  for (const NamedPart& part : named_parts(spec)) {
    const auto blocks = blocks_of(part, spec);
    const std::int64_t all = rows_of(blocks);
    const std::string name = name_of(part.name, spec.layer, spec.expert);
    const auto [place, is_new] = index_.try_emplace(name, tensors_.size());
    if (is_new) tensors_.push_back({name, shape_of(part, spec, all), {}, part.added});
    for (const RowBlock& block : blocks) {
      tensors_[place->second].sources.push_back({spec.name, begin, slice_of(part, spec, all, block)});
      begin += block.rows * columns_of(spec);
    }
  }
}

void TensorMap::add_router_biases() {
  for (std::int64_t layer = 0; layer < model::moe_layers(options_); ++layer) {
    const std::int64_t experts = options_.moe.experts;
    tensors_.push_back({router_bias(layer),
                        {experts},
                        {{workers::balancer_name(options_, at(layer)), 0,
                          Slice{.rows = 1, .columns = experts, .row_stride = experts}}}});
  }
}

void TensorMap::add_repeated() {
  for (std::int64_t layer = options_.layers; layer < options_.layers + options_.mtp.depth; ++layer) {
    for (const ParameterSpec& spec : specs_) {
      const auto found = family_.names.repeated.find(spec.name);
      if (found == family_.names.repeated.end()) continue;
      TheirTensor tensor = tensors_.at(index_.at(parts(spec).front().theirs));
      tensor.name = name_of(found->second, layer, -1);
      tensor.repeats = true;
      tensors_.push_back(std::move(tensor));
    }
  }
}

std::string TensorMap::router_bias(std::int64_t moe_layer) const {
  return name_of(family_.names.router_bias, model::layer_of_moe(options_, moe_layer), -1);
}

}  // namespace troupe::conversion
