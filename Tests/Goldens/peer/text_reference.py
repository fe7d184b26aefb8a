"""Transformers' text models with a fixture's weights, eager attention, F32: what the fixture's text model was meant to be."""
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch
from transformers import (
    Gemma3ForCausalLM, Gemma3TextConfig, LlamaConfig, LlamaForCausalLM, Qwen2Config, Qwen2ForCausalLM, Qwen3Config,
    Qwen3ForCausalLM, Qwen3MoeConfig, Qwen3MoeForCausalLM, Qwen3VLMoeTextConfig, Qwen3VLTextConfig)
from transformers.models.qwen2_vl.configuration_qwen2_vl import Qwen2VLTextConfig
from transformers.models.qwen2_vl.modeling_qwen2_vl import Qwen2VLModel, Qwen2VLTextModel
from transformers.models.qwen3_vl.modeling_qwen3_vl import Qwen3VLTextModel
from transformers.models.qwen3_vl_moe.modeling_qwen3_vl_moe import Qwen3VLMoeTextModel

from weights import Tensors

NAMES = {
    "attn_norm": "input_layernorm", "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj", "attn_q_norm": "self_attn.q_norm", "attn_k_norm": "self_attn.k_norm",
    "ffn_norm": "post_attention_layernorm", "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj",
    "ffn_gate_inp": "mlp.gate",
}
# Gemma 3 has four norms a layer, and calls the one behind attention what others call the one before the feed-forward.
GEMMA_NAMES = NAMES | {
    "post_attention_norm": "post_attention_layernorm", "ffn_norm": "pre_feedforward_layernorm",
    "post_ffw_norm": "post_feedforward_layernorm",
}
GLOBAL_EVERY = 6


class TextWithHead(torch.nn.Module):
    """The text model of a pair alone, with its head."""

    base: type

    def __init__(self, config):
        super().__init__()
        self.model = self.base._from_config(config)
        self.lm_head = torch.nn.Linear(config.hidden_size, config.vocab_size, bias=False)


class Qwen2VLText(TextWithHead):
    base = Qwen2VLTextModel


class Qwen3VLText(TextWithHead):
    base = Qwen3VLTextModel


class Qwen3VLMoeText(TextWithHead):
    base = Qwen3VLMoeTextModel


def grid_places(chunks: list[dict]) -> list[list[int]]:
    """Three numbers a token, as transformers' Qwen2-VL counts positions; chunks as manifests have them."""
    kinds, grids = [], []
    for chunk in chunks:
        image = chunk.get("image")
        kinds += [1] * image["tokens"] if image else [0] * len(chunk["text"])
        grids += [[1, image["ny"], image["nx"]]] if image else []
    config = SimpleNamespace(vision_config=SimpleNamespace(spatial_merge_size=1))
    model = SimpleNamespace(config=config)
    model.get_vision_position_ids = Qwen2VLModel.get_vision_position_ids.__get__(model)
    kinds = torch.tensor([kinds])
    places, _ = Qwen2VLModel.get_rope_index(
        model, torch.zeros_like(kinds), kinds, torch.tensor(grids).reshape(-1, 3) if grids else None)
    return places[:, 0].T.tolist()


CLASSES = {
    "llama": (LlamaConfig, LlamaForCausalLM), "qwen2": (Qwen2Config, Qwen2ForCausalLM),
    "qwen3": (Qwen3Config, Qwen3ForCausalLM), "qwen3moe": (Qwen3MoeConfig, Qwen3MoeForCausalLM),
    "gemma3": (Gemma3TextConfig, Gemma3ForCausalLM),
    "qwen2vl": (Qwen2VLTextConfig, Qwen2VLText), "qwen3vl": (Qwen3VLTextConfig, Qwen3VLText),
    "qwen3vlmoe": (Qwen3VLMoeTextConfig, Qwen3VLMoeText),
}


class TextReference:
    def __init__(self, path: Path):
        tensors = Tensors(path)
        self.architecture = tensors.key("general.architecture")
        heads, head = (int(self.key(tensors, name)) for name in ("attention.head_count", "attention.key_length"))
        layers = int(self.key(tensors, "block_count"))
        base = float(self.key(tensors, "rope.freq_base"))
        vocabulary, width = tensors.values["token_embd.weight"].shape
        self.width = width
        settings = {
            "vocab_size": vocabulary, "hidden_size": width, "num_hidden_layers": layers, "num_attention_heads": heads,
            "num_key_value_heads": int(self.key(tensors, "attention.head_count_kv")), "head_dim": head,
            "intermediate_size": int(self.key(tensors, "feed_forward_length")),
            "rms_norm_eps": float(self.key(tensors, "attention.layer_norm_rms_epsilon")),
            "tie_word_embeddings": "output.weight" not in tensors.values, "max_position_embeddings": 4096,
            "pad_token_id": 0, "bos_token_id": None, "eos_token_id": None,
        }
        self.window = self.key(tensors, "attention.sliding_window")
        if self.architecture == "gemma3":
            scale = self.key(tensors, "rope.scaling.factor")
            whole = {"rope_type": "linear", "factor": float(scale)} if scale else {"rope_type": "default"}
            settings |= {
                "query_pre_attn_scalar": head, "sliding_window": int(self.window),
                "layer_types": [
                    "full_attention" if (i + 1) % GLOBAL_EVERY == 0 else "sliding_attention" for i in range(layers)],
                "rope_parameters": {
                    "full_attention": whole | {"rope_theta": base},
                    "sliding_attention": {"rope_type": "default", "rope_theta": 10_000.0}},
            }
        else:
            settings["rope_parameters"] = {"rope_type": "default", "rope_theta": base}
            sections = self.key(tensors, "rope.dimension_sections")
            if sections:
                settings["rope_parameters"]["mrope_section"] = [int(count) for count in sections[:3]]
                settings["rope_parameters"]["mrope_interleaved"] = self.architecture.startswith("qwen3vl")
        if self.architecture in ("qwen3moe", "qwen3vlmoe"):
            settings |= {
                "num_experts": int(self.key(tensors, "expert_count")),
                "num_experts_per_tok": int(self.key(tensors, "expert_used_count")),
                "moe_intermediate_size": int(self.key(tensors, "expert_feed_forward_length")), "norm_topk_prob": True}
        configuration, model = CLASSES[self.architecture]
        config = configuration(**settings)
        config._attn_implementation = "eager"
        self.model = model(config).eval()
        self.load(tensors, head)

    def key(self, tensors: Tensors, name: str):
        return tensors.key(f"{self.architecture}.{name}")

    def load(self, tensors: Tensors, head: int):
        names = GEMMA_NAMES if self.architecture == "gemma3" else NAMES
        state = {}
        for name, value in tensors.values.items():
            if self.architecture == "gemma3" and "norm" in name:
                value = value - 1
            if self.architecture == "llama" and ("attn_q." in name or "attn_k." in name):
                # The file holds pairs side by side; transformers rotates halves.
                pairs = value.reshape(-1, head // 2, 2, value.shape[-1])
                value = pairs.swapaxes(1, 2).reshape(value.shape)
            if name.startswith("blk."):
                _, index, kind, what = name.split(".")
                experts = f"model.layers.{index}.mlp.experts"
                if kind == "ffn_up_exps":
                    continue
                if kind == "ffn_gate_exps":
                    up = tensors.values[name.replace("gate", "up")]
                    state[f"{experts}.gate_up_proj"] = np.concatenate([value, up], axis=1)
                    continue
                if kind == "ffn_down_exps":
                    state[f"{experts}.down_proj"] = value
                    continue
                state[f"model.layers.{index}.{names[kind]}.{what}"] = value
            else:
                whole = {"token_embd.weight": "model.embed_tokens.weight", "output_norm.weight": "model.norm.weight",
                         "output.weight": "lm_head.weight"}[name]
                state[whole] = value
                if name == "token_embd.weight" and "output.weight" not in tensors.values:
                    state["lm_head.weight"] = value
        self.model.load_state_dict({k: torch.from_numpy(np.array(v)) for k, v in state.items()}, strict=True)

    def logits(self, chunks: list[dict], blocks: list[np.ndarray], places=None) -> np.ndarray:
        """Logits behind a prompt's chunks (as manifests have them), pictures' rows given; `places`: three positions a token."""
        remaining, rows, planes, block = iter(blocks), [], [], []
        with torch.no_grad():
            for index, chunk in enumerate(chunks):
                if "text" in chunk:
                    rows.append(self.model.model.embed_tokens(torch.tensor(chunk["text"])))
                    block += [-1] * len(chunk["text"])
                else:
                    # Behind an image's embeddings its DeepStack planes.
                    parts = torch.from_numpy(np.array(next(remaining), np.float32)).split(self.width, dim=1)
                    rows.append(parts[0])
                    planes.append(torch.stack(parts[1:]) if len(parts) > 1 else torch.empty(0, *parts[0].shape))
                    block += [-1 if chunk["image"]["causal"] else index] * chunk["image"]["tokens"]
            whole = torch.cat(rows)[None]
            place = torch.arange(whole.shape[1])
            block = torch.tensor(block)
            seen = place[None, :] <= place[:, None]
            seen |= (block[:, None] == block[None, :]) & (block[:, None] >= 0)

            def mask(allowed):
                return torch.where(allowed, 0.0, torch.finfo(torch.float32).min)[None, None]

            masks = mask(seen)
            if self.window:
                local = seen & (place[:, None] - place[None, :] < int(self.window))
                masks = {"full_attention": masks, "sliding_attention": mask(local)}
            positions = place[None] if places is None else torch.tensor(places).T[:, None]
            # The text model of Qwen2-VL looks its mask up by the kind of layer.
            if self.architecture == "qwen2vl":
                masks = {"full_attention": masks}
            hidden = self.model.model(
                inputs_embeds=whole, attention_mask=masks, position_ids=positions, use_cache=False,
                **self.stacked(chunks, planes)).last_hidden_state
            return self.model.lm_head(hidden[0, -1]).numpy()

    def stacked(self, chunks: list[dict], planes: list[torch.Tensor]) -> dict:
        """What a DeepStack model takes of the pictures beside their embeddings; planes: [planes, tokens, width] a picture."""
        if not self.architecture.startswith("qwen3vl") or not planes:
            return {}
        visual = sum(([True] * c["image"]["tokens"] if "image" in c else [False] * len(c["text"]) for c in chunks), [])
        return {
            "visual_pos_masks": torch.tensor(visual)[None], "deepstack_visual_embeds": list(torch.cat(planes, dim=1))}
