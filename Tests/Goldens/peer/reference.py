"""Vision parts of transformers' models with a fixture's weights: the trained models' graphs and image processors."""
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch
from transformers import CLIPVisionConfig, Gemma3Config, Idefics3Config, InternVLConfig, LlavaNextConfig, Qwen3VLConfig
from transformers.models.gemma3.image_processing_pil_gemma3 import Gemma3ImageProcessorPil
from transformers.models.gemma3.modeling_gemma3 import Gemma3Model
from transformers.models.got_ocr2.image_processing_pil_got_ocr2 import GotOcr2ImageProcessorPil
from transformers.models.idefics3.image_processing_pil_idefics3 import Idefics3ImageProcessorPil
from transformers.models.idefics3.modeling_idefics3 import Idefics3Model
from transformers.models.idefics3.processing_idefics3 import Idefics3Processor
from transformers.models.internvl.modeling_internvl import InternVLModel
from transformers.models.internvl.processing_internvl import InternVLProcessor
from transformers.models.llava_next.image_processing_pil_llava_next import LlavaNextImageProcessorPil
from transformers.models.llava_next.modeling_llava_next import LlavaNextModel
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil
from transformers.models.qwen3_vl import modeling_qwen3_vl as qwen3_vl

from weights import Tensors

torch.manual_seed(0)
torch.set_num_threads(2)

# Pictures are [height, width, 3]; left to guess, transformers takes one of three rows for [3, height, width].
LAST = {"input_data_format": "channels_last"}
SIGLIP = {"ln1": "layer_norm1", "ln2": "layer_norm2", "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj",
          "attn_v": "self_attn.v_proj", "attn_out": "self_attn.out_proj", "ffn_up": "mlp.fc1", "ffn_down": "mlp.fc2"}


def text_config(width: int) -> dict:
    """The smallest text model that a vision model can stand beside; it is never run."""
    return {"hidden_size": width, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1,
            "num_key_value_heads": 1, "head_dim": 8, "vocab_size": 16, "pad_token_id": 0}


def layers(tensors: Tensors, prefix: str, state: dict):
    for name, value in tensors.values.items():
        if name.startswith("v.blk."):
            _, _, index, kind, what = name.split(".")
            # LLaVA's published files exchange the two names of the feed-forward.
            if kind.startswith("ffn") and tensors.values[f"v.blk.{index}.ffn_up.weight"].shape[1] != WIDTH(tensors):
                kind = {"ffn_up": "ffn_down", "ffn_down": "ffn_up"}[kind]
            state[f"{prefix}.{index}.{SIGLIP[kind]}.{what}"] = value


def WIDTH(tensors: Tensors) -> int:
    return int(tensors.key("clip.vision.embedding_length"))


def load(model: torch.nn.Module, state: dict, untouched: tuple[str, ...]):
    """Loads exactly `state`; what is missing must begin with one of `untouched`."""
    missing, unexpected = model.load_state_dict({k: torch.from_numpy(np.array(v)) for k, v in state.items()}, strict=False)
    assert not unexpected, unexpected
    missing = [name for name in missing if not name.startswith(untouched) and "position_ids" not in name]
    assert not missing, missing


def siglip_state(tensors: Tensors, prefix: str) -> dict:
    values = tensors.values
    state = {
        f"{prefix}.embeddings.patch_embedding.weight": values["v.patch_embd.weight"],
        f"{prefix}.embeddings.patch_embedding.bias": values["v.patch_embd.bias"],
        f"{prefix}.embeddings.position_embedding.weight": values["v.position_embd.weight"],
        f"{prefix}.post_layernorm.weight": values["v.post_ln.weight"],
        f"{prefix}.post_layernorm.bias": values["v.post_ln.bias"],
    }
    layers(tensors, f"{prefix}.encoder.layers", state)
    return state


def vision_config(tensors: Tensors, act: str) -> dict:
    def key(name):
        return tensors.key(f"clip.vision.{name}")

    return {
        "hidden_size": int(key("embedding_length")), "intermediate_size": int(key("feed_forward_length")),
        "num_hidden_layers": int(key("block_count")), "num_attention_heads": int(key("attention.head_count")),
        "image_size": int(key("image_size")), "patch_size": int(key("patch_size")), "hidden_act": act,
        "layer_norm_eps": float(key("attention.layer_norm_epsilon")),
    }


class SmolVLM:
    def __init__(self, mmproj: Path):
        tensors = Tensors(mmproj)
        vision = vision_config(tensors, "gelu_pytorch_tanh")
        merge = int(tensors.key("clip.vision.projector.scale_factor"))
        matrix = tensors.values["mm.model.fc.weight"]
        config = Idefics3Config(
            vision_config=vision, text_config={"model_type": "llama"} | text_config(matrix.shape[0]), scale_factor=merge,
            pad_token_id=0, image_token_id=1)
        config._attn_implementation = "eager"
        self.model = Idefics3Model(config).eval()
        state = siglip_state(tensors, "vision_model")
        state["connector.modality_projection.proj.weight"] = matrix
        load(self.model, state, ("text_model",))
        self.tokens = (vision["image_size"] // vision["patch_size"] // merge) ** 2
        self.processor = Idefics3ImageProcessorPil(
            size={"longest_edge": int(tensors.key("clip.vision.preproc_image_size"))},
            max_image_size={"longest_edge": vision["image_size"]})

    def tiles(self, image: np.ndarray, **settings):
        result = self.processor(image, return_row_col_info=True, return_tensors="np", **LAST, **settings)
        return result["pixel_values"][0], int(result["rows"][0][0]), int(result["cols"][0][0])

    def __call__(self, image: np.ndarray) -> np.ndarray:
        pixels, _, _ = self.tiles(image)
        with torch.no_grad():
            outputs = self.model.get_image_features(torch.from_numpy(pixels)[None].float(), return_dict=True)
        return torch.cat(list(outputs.pooler_output)).reshape(len(pixels) * self.tokens, -1).numpy()

    def expanded(self, image: np.ndarray) -> tuple[str, str]:
        """What the processor writes in the picture's place."""
        _, rows, columns = self.tiles(image)
        processor = SimpleNamespace(
            fake_image_token="<fake_token_around_image>", global_image_tag="<global-img>", image_token="<image>",
            image_seq_len=self.tokens)
        text = Idefics3Processor.replace_image_token(processor, {"rows": [[rows]], "cols": [[columns]]}, 0)
        return text, "<image>"

    def pixels(self, image: np.ndarray):
        raw, rows, columns = self.tiles(image, do_rescale=False, do_normalize=False)
        entry = {"rows": rows, "columns": columns, "tokens_a_tile": self.tokens, "tokens": self.tokens * len(raw)}
        return raw.transpose(0, 2, 3, 1).astype(np.uint8), entry, self.tiles(image)[0]


class Gemma3:
    def __init__(self, mmproj: Path):
        tensors = Tensors(mmproj)
        vision = vision_config(tensors, "gelu_pytorch_tanh")
        merge = int(tensors.key("clip.vision.projector.scale_factor") or 4)
        side = vision["image_size"]
        matrix = tensors.values["mm.input_projection.weight"]
        self.tokens = (side // vision["patch_size"] // merge) ** 2
        config = Gemma3Config(
            vision_config={"model_type": "siglip_vision_model", "vision_use_head": False} | vision,
            text_config=text_config(matrix.shape[1]), mm_tokens_per_image=self.tokens)
        config._attn_implementation = "eager"
        self.model = Gemma3Model(config).eval()
        prefix = next(name for name in self.model.state_dict() if name.endswith("patch_embedding.weight"))
        state = siglip_state(tensors, prefix.removesuffix(".embeddings.patch_embedding.weight"))
        state["multi_modal_projector.mm_input_projection_weight"] = matrix
        # The file holds the factor itself, transformers what is added to 1.
        state["multi_modal_projector.mm_soft_emb_norm.weight"] = tensors.values["mm.soft_emb_norm.weight"] - 1
        load(self.model, state, ("language_model",))
        self.processor = Gemma3ImageProcessorPil(size={"height": side, "width": side})

    def __call__(self, image: np.ndarray) -> np.ndarray:
        pixels = self.processor(image, return_tensors="np", **LAST)["pixel_values"]
        with torch.no_grad():
            outputs = self.model.get_image_features(torch.from_numpy(np.asarray(pixels)).float(), return_dict=True)
        return outputs.pooler_output.reshape(self.tokens, -1).numpy()

    def pixels(self, image: np.ndarray):
        raw = np.asarray(self.processor(image, return_tensors="np", **LAST, do_rescale=False, do_normalize=False)["pixel_values"])
        normalized = np.asarray(self.processor(image, return_tensors="np", **LAST)["pixel_values"])
        entry = {"rows": 0, "columns": 0, "tokens_a_tile": self.tokens, "tokens": self.tokens}
        return raw.transpose(0, 2, 3, 1).astype(np.uint8), entry, normalized


class LlavaNext:
    def __init__(self, mmproj: Path):
        tensors = Tensors(mmproj)
        values = tensors.values
        vision = vision_config(tensors, "quick_gelu")
        # One layer more, which is never looked at: the model takes the hidden states before the last layer.
        vision["num_hidden_layers"] += 1
        side = vision["image_size"]
        flat = tensors.key("clip.vision.image_grid_pinpoints")
        sizes = [[int(flat[i]), int(flat[i + 1])] for i in range(0, len(flat), 2)]
        config = LlavaNextConfig(
            vision_config=CLIPVisionConfig(**vision), text_config={"model_type": "llama"} | text_config(
                values["mm.2.weight"].shape[0]), vision_feature_layer=-2, vision_feature_select_strategy="default",
            projector_hidden_act="gelu", image_grid_pinpoints=sizes)
        config._attn_implementation = "eager"
        self.model = LlavaNextModel(config).eval()
        prefix = next(name for name in self.model.state_dict() if name.endswith("patch_embedding.weight"))
        prefix = prefix.removesuffix(".embeddings.patch_embedding.weight")
        state = {
            f"{prefix}.embeddings.class_embedding": values["v.class_embd"],
            f"{prefix}.embeddings.patch_embedding.weight": values["v.patch_embd.weight"],
            f"{prefix}.embeddings.position_embedding.weight": values["v.position_embd.weight"],
            f"{prefix}.pre_layrnorm.weight": values["v.pre_ln.weight"],
            f"{prefix}.pre_layrnorm.bias": values["v.pre_ln.bias"],
            "multi_modal_projector.linear_1.weight": values["mm.0.weight"],
            "multi_modal_projector.linear_1.bias": values["mm.0.bias"],
            "multi_modal_projector.linear_2.weight": values["mm.2.weight"],
            "multi_modal_projector.linear_2.bias": values["mm.2.bias"],
            "image_newline": values["model.image_newline"],
        }
        layers(tensors, f"{prefix}.encoder.layers", state)
        last = f"{prefix}.encoder.layers.{vision['num_hidden_layers'] - 1}"
        load(self.model, state, ("language_model", last, f"{prefix}.post_layernorm"))
        self.side, self.grid = side, side // vision["patch_size"]
        self.processor = LlavaNextImageProcessorPil(
            size={"shortest_edge": side}, crop_size={"height": side, "width": side}, image_grid_pinpoints=sizes)
        self.sizes = sizes

    def __call__(self, image: np.ndarray) -> np.ndarray:
        inputs = self.processor(image, return_tensors="np", **LAST)
        with torch.no_grad():
            outputs = self.model.get_image_features(
                torch.from_numpy(np.asarray(inputs["pixel_values"])).float(),
                torch.tensor(np.asarray(inputs["image_sizes"])), return_dict=True)
        return outputs.pooler_output[0].numpy()

    def pixels(self, image: np.ndarray):
        from transformers.image_processing_utils import select_best_resolution

        raw = self.processor(image, return_tensors="np", **LAST, do_rescale=False, do_normalize=False)["pixel_values"][0]
        height, width = select_best_resolution(image.shape[:2], self.sizes)
        count = len(self(image))
        entry = {"rows": height // self.side, "columns": width // self.side, "tokens_a_tile": self.grid**2, "tokens": count}
        normalized = self.processor(image, return_tensors="np", **LAST)["pixel_values"][0]
        return raw.transpose(0, 2, 3, 1).astype(np.uint8), entry, normalized


class InternVL:
    NAMES = {"ln1": "layernorm_before", "ln2": "layernorm_after", "attn_q": "attention.q_proj", "attn_k": "attention.k_proj",
             "attn_v": "attention.v_proj", "attn_q_norm": "attention.q_norm", "attn_k_norm": "attention.k_norm",
             "attn_out": "attention.projection_layer", "ffn_up": "mlp.fc1", "ffn_down": "mlp.fc2"}

    def __init__(self, mmproj: Path):
        tensors = Tensors(mmproj)
        values = tensors.values
        vision = vision_config(tensors, "gelu")
        self.side, merge = vision["image_size"], int(tensors.key("clip.vision.projector.scale_factor"))
        self.tokens = (self.side // vision["patch_size"] // merge) ** 2
        config = InternVLConfig(
            vision_config=vision | {
                "norm_type": "layer_norm" if "v.blk.0.ln1.bias" in values else "rms_norm",
                "attention_bias": "v.blk.0.attn_q.bias" in values, "use_qk_norm": "v.blk.0.attn_q_norm.weight" in values},
            text_config={"model_type": "qwen2"} | text_config(values["mm.model.mlp.3.weight"].shape[0]),
            downsample_ratio=1 / merge, projector_hidden_act="gelu")
        config._attn_implementation = "eager"
        config.vision_config._attn_implementation = "eager"
        self.model = InternVLModel(config).eval()
        state = {
            "vision_tower.embeddings.cls_token": values["v.class_embd"].reshape(1, 1, -1),
            "vision_tower.embeddings.patch_embeddings.projection.weight": values["v.patch_embd.weight"],
            "vision_tower.embeddings.patch_embeddings.projection.bias": values["v.patch_embd.bias"],
            "vision_tower.embeddings.position_embeddings": values["v.position_embd.weight"][None],
        }
        for name, value in values.items():
            if name.startswith("v.blk."):
                _, _, index, kind, what = name.split(".")
                layer = f"vision_tower.encoder.layer.{index}"
                if kind in ("ls1", "ls2"):
                    state[f"{layer}.lambda_{kind[-1]}"] = value
                else:
                    state[f"{layer}.{self.NAMES[kind]}.{what}"] = value
        for index, name in {"0": "layer_norm", "1": "linear_1", "3": "linear_2"}.items():
            for what in ("weight", "bias"):
                state[f"multi_modal_projector.{name}.{what}"] = values[f"mm.model.mlp.{index}.{what}"]
        load(self.model, state, ("language_model",))
        self.processor = GotOcr2ImageProcessorPil(
            size={"height": self.side, "width": self.side}, crop_to_patches=True,
            min_patches=int(tensors.key("clip.vision.preproc_min_tiles")),
            max_patches=int(tensors.key("clip.vision.preproc_max_tiles")),
            image_mean=list(map(float, tensors.key("clip.vision.image_mean"))),
            image_std=list(map(float, tensors.key("clip.vision.image_std"))))

    def tiles(self, image: np.ndarray, **settings) -> np.ndarray:
        return np.asarray(self.processor(image, return_tensors="np", **LAST, **settings)["pixel_values"])

    def __call__(self, image: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            outputs = self.model.get_image_features(torch.from_numpy(self.tiles(image)).float(), return_dict=True)
        return outputs.pooler_output.reshape(-1, outputs.pooler_output.shape[-1]).numpy()

    def expanded(self, image: np.ndarray) -> tuple[str, str]:
        """What the processor writes in the picture's place."""
        processor = SimpleNamespace(
            start_image_token="<img>", end_image_token="</img>", image_token="<IMG_CONTEXT>", image_seq_length=self.tokens)
        text = InternVLProcessor.replace_image_token(processor, {"num_patches": [len(self.tiles(image))]}, 0)
        return text, "<IMG_CONTEXT>"

    def pixels(self, image: np.ndarray):
        from transformers.models.got_ocr2.image_processing_pil_got_ocr2 import get_optimal_tiled_canvas

        raw = self.tiles(image, do_rescale=False, do_normalize=False)
        columns, rows = get_optimal_tiled_canvas(
            image.shape[:2], (self.side, self.side), self.processor.min_patches, self.processor.max_patches)
        cut = len(raw) > 1
        assert len(raw) == (columns * rows + 1 if cut else 1)
        entry = {"rows": rows * cut, "columns": columns * cut, "tokens_a_tile": self.tokens, "tokens": self.tokens * len(raw)}
        return raw.transpose(0, 2, 3, 1).astype(np.uint8), entry, self.tiles(image)


class Qwen3VL:
    """Rows are [tokens, (1 + planes) * width], the DeepStack planes behind the embedding."""

    LAYER = {"ln1": "norm1", "ln2": "norm2", "attn_qkv": "attn.qkv", "attn_out": "attn.proj", "ffn_up": "mlp.linear_fc1",
             "ffn_down": "mlp.linear_fc2"}
    MERGER = {"norm": "norm", "fc1": "linear_fc1", "fc2": "linear_fc2"}
    WHOLE = {"v.patch_embd.bias": "patch_embed.proj.bias", "v.position_embd.weight": "pos_embed.weight",
             "v.post_ln": "merger.norm", "mm.0": "merger.linear_fc1", "mm.2": "merger.linear_fc2"}
    # llama.cpp's; the published preprocessor_config.json says 64 and 16,384.
    TOKENS = (8, 4096)

    def __init__(self, mmproj: Path):
        tensors = Tensors(mmproj)
        values = tensors.values

        def key(name):
            return tensors.key(f"clip.vision.{name}")

        self.merge, self.patch = int(key("spatial_merge_size")), int(key("patch_size"))
        stacked = [layer for layer, mark in enumerate(key("is_deepstack_layers")) if mark]
        vision = {
            "depth": int(key("block_count")), "hidden_size": int(key("embedding_length")),
            "intermediate_size": int(key("feed_forward_length")), "num_heads": int(key("attention.head_count")),
            "patch_size": self.patch, "spatial_merge_size": self.merge, "out_hidden_size": values["mm.2.weight"].shape[0],
            "num_position_embeddings": values["v.position_embd.weight"].shape[0], "deepstack_visual_indexes": stacked,
        }
        self.config = Qwen3VLConfig(vision_config=vision)
        self.config.vision_config._attn_implementation = "eager"
        self.model = qwen3_vl.Qwen3VLVisionModel._from_config(self.config.vision_config).eval()
        state = {"patch_embed.proj.weight": np.stack([values["v.patch_embd.weight"], values["v.patch_embd.weight.1"]], 2)}
        for name, value in values.items():
            stem, what = name.rsplit(".", 1)
            if name.startswith("v.blk."):
                _, _, index, kind = stem.split(".")
                state[f"blocks.{index}.{self.LAYER[kind]}.{what}"] = value
            elif name.startswith("v.deepstack."):
                _, _, index, kind = stem.split(".")
                state[f"deepstack_merger_list.{stacked.index(int(index))}.{self.MERGER[kind]}.{what}"] = value
            elif name in self.WHOLE:
                state[self.WHOLE[name]] = value
            elif stem in self.WHOLE:
                state[f"{self.WHOLE[stem]}.{what}"] = value
        load(self.model, state, ())
        area = (self.patch * self.merge) ** 2
        self.processor = Qwen2VLImageProcessorPil(
            size={"shortest_edge": self.TOKENS[0] * area, "longest_edge": self.TOKENS[1] * area}, patch_size=self.patch,
            merge_size=self.merge, image_mean=[0.5] * 3, image_std=[0.5] * 3)

    def patches(self, image: np.ndarray, **settings):
        found = self.processor(image, return_tensors="pt", **LAST, **settings)
        return found["pixel_values"], found["image_grid_thw"]

    def __call__(self, image: np.ndarray) -> np.ndarray:
        pixels, grid = self.patches(image)
        with torch.no_grad():
            found = self.model(pixels.float(), grid_thw=grid, return_dict=True)
        return torch.cat([found.pooler_output, *found.deepstack_features], dim=-1).numpy()

    def scores(self, image: np.ndarray) -> np.ndarray:
        """What every patch gets of the attention of all patches in the last layer, mean over patches and heads, [rows, columns]."""
        pixels, grid = self.patches(image)
        plain, found = qwen3_vl.eager_attention_forward, []

        def watched(*arguments, **settings):
            output, weights = plain(*arguments, **settings)
            found.append(weights[0].double().mean(dim=(0, 1)))
            return output, weights

        qwen3_vl.eager_attention_forward = watched
        try:
            with torch.no_grad():
                self.model(pixels.float(), grid_thw=grid)
        finally:
            qwen3_vl.eager_attention_forward = plain
        _, rows, columns = grid[0].tolist()
        tokens = found[-1].reshape(rows // self.merge, columns // self.merge, self.merge, self.merge)
        return tokens.permute(0, 2, 1, 3).reshape(rows, columns).float().numpy()

    def tokens(self, image: np.ndarray) -> int:
        return int(self.patches(image)[1].prod()) // self.merge**2

    def expanded(self, image: np.ndarray) -> tuple[str, str]:
        return "<|vision_start|>" + "<|image_pad|>" * self.tokens(image) + "<|vision_end|>", "<|image_pad|>"

    def prepared(self, image: np.ndarray) -> np.ndarray:
        """The picture in the size that the encoder gets, [height, width, 3]."""
        return self.picture(*self.patches(image, do_rescale=False, do_normalize=False)).transpose(1, 2, 0).astype(np.uint8)

    def picture(self, pixels: torch.Tensor, grid: torch.Tensor) -> np.ndarray:
        """Patches put together, [3, height, width]."""
        _, rows, columns = grid[0].tolist()
        side, merge = self.patch, self.merge
        # Of the two equal frames of a patch the first; patches stand token by token.
        values = pixels.numpy().reshape(-1, 3, 2, side, side)[:, :, 0]
        values = values.reshape(rows // merge, columns // merge, merge, merge, 3, side, side)
        return values.transpose(4, 0, 2, 5, 1, 3, 6).reshape(3, rows * side, columns * side)

    def pixels(self, image: np.ndarray):
        count = self.tokens(image)
        entry = {"rows": 0, "columns": 0, "tokens_a_tile": count, "tokens": count}
        return self.prepared(image)[None], entry, self.picture(*self.patches(image))[None]
