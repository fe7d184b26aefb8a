"""Transformers' Gemma 4 with a fixture's weights: text model, encoder and image processor (transformers 5.24)."""
from pathlib import Path

import numpy as np
import torch
from transformers.models.gemma4 import image_processing_pil_gemma4 as processing
from transformers.models.gemma4 import modeling_gemma4 as gemma4
from transformers.models.gemma4.configuration_gemma4 import Gemma4TextConfig, Gemma4VisionConfig
from transformers.models.gemma4.modeling_gemma4 import Gemma4ForCausalLM

from reference import LAST, load
from weights import Tensors

TEXT = {
    "attn_norm": "input_layernorm", "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj", "attn_q_norm": "self_attn.q_norm", "attn_k_norm": "self_attn.k_norm",
    "attn_output": "self_attn.o_proj", "post_attention_norm": "post_attention_layernorm",
    "ffn_norm": "pre_feedforward_layernorm", "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj", "post_ffw_norm": "post_feedforward_layernorm", "inp_gate": "per_layer_input_gate",
    "proj": "per_layer_projection", "post_norm": "post_per_layer_input_norm",
}
VISION = {
    "ln1": "input_layernorm", "ln2": "pre_feedforward_layernorm", "attn_post_norm": "post_attention_layernorm",
    "ffn_post_norm": "post_feedforward_layernorm", "attn_q_norm": "self_attn.q_norm", "attn_k_norm": "self_attn.k_norm",
    "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj",
    "attn_out": "self_attn.o_proj", "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj",
}
# Of a picture, of the budgets that the processor knows the one it takes unless told otherwise.
TOKENS = 280


class Gemma4Vision:
    """Encoder, pooling and projection, eager attention, F32."""

    def __init__(self, mmproj: Path):
        tensors = Tensors(mmproj)
        values = tensors.values

        def key(name):
            return tensors.key(f"clip.vision.{name}")

        self.merge, self.patch = int(key("projector.scale_factor") or 3), int(key("patch_size"))
        table = values["v.position_embd.weight"]
        hidden, heads = int(key("embedding_length")), int(key("attention.head_count"))
        is_limited = any(name.endswith(".input_min") for name in values)
        config = Gemma4VisionConfig(
            hidden_size=hidden, intermediate_size=int(key("feed_forward_length")), num_hidden_layers=int(key("block_count")),
            num_attention_heads=heads, num_key_value_heads=heads, head_dim=hidden // heads, patch_size=self.patch,
            rms_norm_eps=float(key("attention.layer_norm_epsilon")), pooling_kernel_size=self.merge,
            position_embedding_size=table.shape[1], use_clipped_linears=is_limited, standardize="v.std_bias" in values)
        config._attn_implementation = "eager"
        self.model = gemma4.Gemma4VisionModel(config).eval()
        kernel = values["v.patch_embd.weight"].transpose(0, 2, 3, 1).reshape(hidden, -1)
        state = {"patch_embedder.input_proj.weight": kernel, "patch_embedder.position_embedding_table": table}
        for name, value in values.items():
            if name.startswith("v.std_"):
                state[name.removeprefix("v.")] = value
            elif name.startswith("v.blk."):
                _, _, index, kind, what = name.split(".")
                place = f"encoder.layers.{index}.{VISION[kind]}."
                is_linear = "proj" in VISION[kind] and what == "weight"
                # Limits are scalars.
                state[place + ("linear.weight" if is_linear else what)] = value if what == "weight" else value.reshape(())
        load(self.model, state, ())
        matrix = values["mm.input_projection.weight"]
        self.embedder = gemma4.Gemma4MultimodalEmbedder(config, Gemma4TextConfig(hidden_size=matrix.shape[0])).eval()
        load(self.embedder, {"embedding_projection.weight": matrix}, ())
        # A table of fewer positions than a row of all tokens holds makes pictures smaller; the processor knows five budgets.
        budget = min(TOKENS, table.shape[1] // self.merge)
        processing._SUPPORTED_SOFT_TOKENS = (*processing._SUPPORTED_SOFT_TOKENS, budget)
        self.processor = processing.Gemma4ImageProcessorPil(
            patch_size=self.patch, pooling_kernel_size=self.merge, max_soft_tokens=budget)

    def patches(self, image: np.ndarray, **settings):
        """Patches [count, side * side * 3], their columns and rows, without padding."""
        found = self.processor(image, return_tensors="pt", **LAST, **settings)
        count = int(found["num_soft_tokens_per_image"][0]) * self.merge**2
        return found["pixel_values"][:, :count].float(), found["image_position_ids"][:, :count]

    def __call__(self, image: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            found = self.model(*self.patches(image)).last_hidden_state
            return self.embedder(found).numpy()

    def scores(self, image: np.ndarray) -> np.ndarray:
        """What every patch gets of the attention of all patches in the last layer, mean over patches and heads, [rows, columns]."""
        plain, found = gemma4.eager_attention_forward, []

        def watched(*arguments, **settings):
            output, weights = plain(*arguments, **settings)
            found.append(weights[0].double().mean(dim=(0, 1)))
            return output, weights

        pixels, places = self.patches(image)
        gemma4.eager_attention_forward = watched
        try:
            with torch.no_grad():
                self.model(pixels, places)
        finally:
            gemma4.eager_attention_forward = plain
        return found[-1].float().numpy().reshape(int(places[0, -1, 1]) + 1, -1)

    def tokens(self, image: np.ndarray) -> int:
        return self.patches(image)[0].shape[1] // self.merge**2

    def expanded(self, image: np.ndarray) -> tuple[str, str]:
        return "<|image>" + "<|image|>" * self.tokens(image) + "<image|>", "<|image|>"

    def picture(self, pixels: torch.Tensor, places: torch.Tensor) -> np.ndarray:
        """Patches put together, [height, width, 3]."""
        columns, rows = (places[0, -1] + 1).tolist()
        values = pixels.numpy().reshape(rows, columns, self.patch, self.patch, 3)
        return values.transpose(0, 2, 1, 3, 4).reshape(rows * self.patch, columns * self.patch, 3)

    def prepared(self, image: np.ndarray) -> np.ndarray:
        """The picture in the size that the encoder gets, [height, width, 3]."""
        return self.picture(*self.patches(image, do_rescale=False)).astype(np.uint8)

    def pixels(self, image: np.ndarray):
        count = self.tokens(image)
        entry = {"rows": 0, "columns": 0, "tokens_a_tile": count, "tokens": count}
        # The encoder's first step is part of what Occam gives it.
        shown = 2 * self.picture(*self.patches(image)) - 1
        return self.prepared(image)[None], entry, shown.transpose(2, 0, 1)[None]


class Gemma4Text:
    """The text model, eager attention, F32."""

    def __init__(self, path: Path):
        tensors = Tensors(path)
        values = tensors.values

        def key(name):
            return tensors.key(f"gemma4.{name}")

        layers, heads = int(key("block_count")), int(key("attention.head_count"))
        local = [bool(v) for v in key("attention.sliding_window_pattern")]
        shared, self.per_layer = int(key("attention.shared_kv_layers")), int(key("embedding_length_per_layer_input"))
        vocabulary, width = values["token_embd.weight"].shape
        head, wide = int(key("attention.key_length_swa")), int(key("attention.key_length"))
        kv, feed = key("attention.head_count_kv"), key("feed_forward_length")
        kv = list(kv) if isinstance(kv, (list, np.ndarray)) else [kv] * layers
        feed = list(feed) if isinstance(feed, (list, np.ndarray)) else [feed] * layers
        is_double = len(set(feed)) > 1
        assert not is_double or set(feed) == {feed[0], 2 * feed[0]}
        self.window = int(key("attention.sliding_window"))
        values_are_keys = any(f"blk.{i}.attn_v.weight" not in values for i in range(layers - shared))
        config = Gemma4TextConfig(
            vocab_size=vocabulary, vocab_size_per_layer_input=vocabulary, hidden_size=width,
            intermediate_size=int(feed[0]), num_hidden_layers=layers, num_attention_heads=heads,
            num_key_value_heads=int(kv[local.index(True)]),
            head_dim=head, global_head_dim=wide, num_global_key_value_heads=int(kv[local.index(False)]),
            attention_k_eq_v=values_are_keys,
            layer_types=["sliding_attention" if v else "full_attention" for v in local], sliding_window=self.window,
            num_kv_shared_layers=shared, hidden_size_per_layer_input=self.per_layer, use_double_wide_mlp=is_double,
            final_logit_softcapping=float(key("final_logit_softcapping")), pad_token_id=0, bos_token_id=None,
            eos_token_id=None,
            rms_norm_eps=float(key("attention.layer_norm_rms_epsilon")),
            rope_parameters={
                "sliding_attention": {"rope_type": "default", "rope_theta": float(key("rope.freq_base_swa"))},
                "full_attention": {
                    "rope_type": "proportional", "partial_rotary_factor": 0.25,
                    "rope_theta": float(key("rope.freq_base"))}})
        config._attn_implementation = "eager"
        self.model = Gemma4ForCausalLM(config).eval()
        state = {}
        for name, value in values.items():
            if name.startswith("blk."):
                _, index, kind, what = name.split(".")
                place = "layer_scalar" if kind == "layer_output_scale" else f"{TEXT[kind]}.{what}"
                state[f"model.layers.{index}.{place}"] = value
        state["model.embed_tokens.weight"] = values["token_embd.weight"]
        state |= {"model.norm.weight": values["output_norm.weight"]}
        state["lm_head.weight"] = values.get("output.weight", values["token_embd.weight"])
        if self.per_layer:
            state |= {
                "model.embed_tokens_per_layer.weight": values["per_layer_token_embd.weight"],
                "model.per_layer_model_projection.weight": values["per_layer_model_proj.weight"],
                "model.per_layer_projection_norm.weight": values["per_layer_proj_norm.weight"]}
        load(self.model, state, ())

    def logits(self, chunks: list[dict], blocks: list[np.ndarray], places: list | None = None) -> np.ndarray:
        """Logits behind a prompt's chunks, as manifests have them, pictures' rows given; positions follow them."""
        remaining, rows, block, ids = iter(blocks), [], [], []
        with torch.no_grad():
            for index, chunk in enumerate(chunks):
                if "text" in chunk:
                    rows.append(self.model.model.embed_tokens(torch.tensor(chunk["text"])))
                    block += [-1] * len(chunk["text"])
                    ids += chunk["text"]
                else:
                    rows.append(torch.from_numpy(np.array(next(remaining), np.float32)))
                    block += [-1 if chunk["image"]["causal"] else index] * chunk["image"]["tokens"]
                    # A picture's rows take the padding token's embeddings of layers.
                    ids += [0] * chunk["image"]["tokens"]
            whole = torch.cat(rows)[None]
            place, block = torch.arange(whole.shape[1]), torch.tensor(block)
            seen = place[None, :] <= place[:, None]
            # Local layers alone see pictures in both directions, and no further back than their window.
            both = seen | ((block[:, None] == block[None, :]) & (block[:, None] >= 0))
            both &= place[:, None] - place[None, :] < self.window

            def mask(allowed):
                return torch.where(allowed, 0.0, torch.finfo(torch.float32).min)[None, None]

            inputs = self.model.model.get_per_layer_inputs(torch.tensor(ids)[None]) if self.per_layer else None
            hidden = self.model.model(
                inputs_embeds=whole, per_layer_inputs=inputs, position_ids=place[None], use_cache=False,
                attention_mask={"full_attention": mask(seen), "sliding_attention": mask(both)}).last_hidden_state
            logits = self.model.lm_head(hidden[0, -1])
            cap = self.model.config.final_logit_softcapping
            return (torch.tanh(logits / cap) * cap).numpy()
