"""Qwen2-VL's and Qwen2.5-VL's vision parts in transformers with a fixture's weights, and their image processor."""
from pathlib import Path

import numpy as np
import torch
import transformers.models.qwen2_5_vl.modeling_qwen2_5_vl as newer
import transformers.models.qwen2_vl.modeling_qwen2_vl as older
from reference import LAST, load
from transformers.models.qwen2_5_vl.configuration_qwen2_5_vl import Qwen2_5_VLVisionConfig
from transformers.models.qwen2_vl.configuration_qwen2_vl import Qwen2VLVisionConfig
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil
from transformers.vision_utils import get_vision_window_index
from weights import Tensors

# llama.cpp's limits of an image's tokens; preprocessor_config.json of the published models has 4 and 16,384.
TOKENS = (8, 4096)
FIRST = {"ln1": "norm1", "ln2": "norm2", "attn_out": "attn.proj"}
PLAIN = FIRST | {"ffn_up": "mlp.fc1", "ffn_down": "mlp.fc2"}
GATED = FIRST | {"ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj"}


class QwenVision:
    def __init__(self, mmproj: Path):
        tensors = Tensors(mmproj)
        values = tensors.values

        def key(name):
            return int(tensors.key(f"clip.vision.{name}"))

        self.is_gated = tensors.key("clip.projector_type") == "qwen2.5vl_merger"
        self.patch, self.merge, self.width = key("patch_size"), 2, key("embedding_length")
        outputs = values["mm.2.weight"].shape[0]
        common = {"depth": key("block_count"), "num_heads": key("attention.head_count"), "patch_size": self.patch}
        if self.is_gated:
            pattern = key("n_wa_pattern")
            config = Qwen2_5_VLVisionConfig(
                hidden_size=self.width, intermediate_size=key("feed_forward_length"), out_hidden_size=outputs,
                window_size=112, fullatt_block_indexes=list(range(pattern - 1, common["depth"], pattern)), **common)
            self.module, kind = newer, newer.Qwen2_5_VisionTransformerPretrainedModel
        else:
            # The key holds another width.
            forward = max(values["v.blk.0.ffn_up.weight"].shape)
            config = Qwen2VLVisionConfig(
                embed_dim=self.width, hidden_size=outputs, mlp_ratio=forward // self.width, **common)
            self.module, kind = older, older.Qwen2VisionTransformerPretrainedModel
        config._attn_implementation = "eager"
        self.model = kind(config).eval()
        load(self.model, self.state(values), ())
        area = (self.patch * self.merge) ** 2
        self.processor = Qwen2VLImageProcessorPil(
            size={"shortest_edge": TOKENS[0] * area, "longest_edge": TOKENS[1] * area}, patch_size=self.patch,
            merge_size=self.merge)

    def state(self, values: dict) -> dict:
        state = {
            "patch_embed.proj.weight": np.stack([values["v.patch_embd.weight"], values["v.patch_embd.weight.1"]], axis=2)}
        for name, value in values.items():
            if name.startswith("v.blk."):
                _, _, index, kind, what = name.split(".")
                if kind in ("attn_q", "attn_k", "attn_v"):
                    continue
                if self.is_gated:
                    kind = GATED[kind]
                else:
                    # The older converter exchanged the two names.
                    swapped = values[f"v.blk.{index}.ffn_down.weight"].shape[1] == self.width
                    kind = PLAIN[{"ffn_up": "ffn_down", "ffn_down": "ffn_up"}.get(kind, kind) if swapped else kind]
                state[f"blocks.{index}.{kind}.{what}"] = value
            elif name.startswith("v.post_ln."):
                state[f"merger.ln_q.{name.split('.')[-1]}"] = value
            elif name.startswith("mm."):
                state[name.replace("mm.", "merger.mlp.")] = value
        for index in range(len({name.split(".")[2] for name in values if name.startswith("v.blk.")})):
            for what in ("weight", "bias"):
                state[f"blocks.{index}.attn.qkv.{what}"] = np.concatenate(
                    [values[f"v.blk.{index}.attn_{part}.{what}"] for part in "qkv"])
        return state

    def processed(self, image: np.ndarray, **settings):
        result = self.processor(image, return_tensors="np", **LAST, **settings)
        return np.asarray(result["pixel_values"]), np.asarray(result["image_grid_thw"])

    def __call__(self, image: np.ndarray) -> np.ndarray:
        pixels, grid = self.processed(image)
        with torch.no_grad():
            outputs = self.model(torch.from_numpy(pixels).float(), grid_thw=torch.from_numpy(grid))
        return outputs.pooler_output.numpy()

    def scores(self, image: np.ndarray) -> np.ndarray:
        """What every patch gets of the attention of all patches, mean over patches and heads, in the last layer that sees the
        whole picture; patches row by row."""
        pixels, grid = self.processed(image)
        count, found = len(pixels), []
        plain = self.module.eager_attention_forward

        def watched(*arguments, **settings):
            output, weights = plain(*arguments, **settings)
            if weights.shape[-1] == count:
                found.append(weights[0].double().mean(dim=(0, 1)).numpy())
            return output, weights

        self.module.eager_attention_forward = watched
        try:
            with torch.no_grad():
                self.model(torch.from_numpy(pixels).float(), grid_thw=torch.from_numpy(grid))
        finally:
            self.module.eager_attention_forward = plain
        blocks = np.arange(count // self.merge**2)
        if self.is_gated:
            order, _ = get_vision_window_index(torch.from_numpy(grid), self.merge, 112, self.patch)
            blocks = order.numpy()
        rows, columns = (int(side) for side in grid[0][1:])
        scores = np.zeros((rows, columns), np.float32)
        for place, block in enumerate(blocks):
            row, column = divmod(int(block), columns // self.merge)
            part = found[-1][place * self.merge**2 : (place + 1) * self.merge**2].reshape(self.merge, self.merge)
            scores[row * self.merge : (row + 1) * self.merge, column * self.merge : (column + 1) * self.merge] = part
        return scores

    def prepared(self, image: np.ndarray) -> np.ndarray:
        """The picture as the processor scales it, for mtmd, which would fit it between black bars."""
        return self.pixels(image)[0][0]

    def expanded(self, image: np.ndarray) -> tuple[str, str]:
        """What the chat template and the processor write in the picture's place."""
        _, grid = self.processed(image)
        count = int(grid.prod()) // self.merge**2
        return "<|vision_start|>" + "<|image_pad|>" * count + "<|vision_end|>", "<|image_pad|>"

    def pixels(self, image: np.ndarray):
        """The picture that the patches were cut from."""

        def whole(**settings):
            patches, [[_, rows, columns]] = self.processed(image, **settings)
            side, merge = self.patch, self.merge
            parts = patches.reshape(rows // merge, columns // merge, merge, merge, 3, 2, side, side)
            assert np.array_equal(parts[:, :, :, :, :, 0], parts[:, :, :, :, :, 1])
            return parts[:, :, :, :, :, 0].transpose(4, 0, 2, 5, 1, 3, 6).reshape(1, 3, rows * side, columns * side)

        raw, normalized = whole(do_rescale=False, do_normalize=False), whole()
        count = raw.shape[2] * raw.shape[3] // (self.patch * self.merge) ** 2
        entry = {"rows": 0, "columns": 0, "tokens_a_tile": count, "tokens": count}
        return raw.transpose(0, 2, 3, 1).astype(np.uint8), entry, normalized
