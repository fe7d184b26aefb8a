"""Transformers' Gemma 4 with a fixture's weights: the text model (transformers 5.24)."""
from pathlib import Path

import numpy as np
import torch
from transformers.models.gemma4.configuration_gemma4 import Gemma4TextConfig
from transformers.models.gemma4.modeling_gemma4 import Gemma4ForCausalLM

from reference import load
from weights import Tensors

TEXT = {
    "attn_norm": "input_layernorm", "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj", "attn_q_norm": "self_attn.q_norm", "attn_k_norm": "self_attn.k_norm",
    "attn_output": "self_attn.o_proj", "post_attention_norm": "post_attention_layernorm",
    "ffn_norm": "pre_feedforward_layernorm", "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj", "post_ffw_norm": "post_feedforward_layernorm", "inp_gate": "per_layer_input_gate",
    "proj": "per_layer_projection", "post_norm": "post_per_layer_input_norm",
}


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
