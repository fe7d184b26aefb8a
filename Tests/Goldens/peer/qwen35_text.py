"""What transformers' Qwen3.5 text model takes from a fixture: its configuration, and weights in its order and names."""
import numpy as np

from weights import Tensors

COMMON = {
    "attn_norm": "input_layernorm", "post_attention_norm": "post_attention_layernorm", "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj", "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj", "attn_output": "self_attn.o_proj", "attn_q_norm": "self_attn.q_norm",
    "attn_k_norm": "self_attn.k_norm", "attn_qkv": "linear_attn.in_proj_qkv", "attn_gate": "linear_attn.in_proj_z",
    "ssm_alpha": "linear_attn.in_proj_a", "ssm_beta": "linear_attn.in_proj_b", "ssm_conv1d": "linear_attn.conv1d",
    "ssm_norm": "linear_attn.norm", "ssm_out": "linear_attn.out_proj",
    "ffn_gate_inp": "mlp.gate", "ffn_gate_inp_shexp": "mlp.shared_expert_gate",
    "ffn_gate_shexp": "mlp.shared_expert.gate_proj", "ffn_up_shexp": "mlp.shared_expert.up_proj",
    "ffn_down_shexp": "mlp.shared_expert.down_proj",
}


class Sizes:
    def __init__(self, tensors: Tensors, architecture: str):
        def key(name, otherwise=None):
            value = tensors.key(f"{architecture}.{name}")
            return otherwise if value is None else value

        self.layers = int(key("block_count")) - int(key("nextn_predict_layers", 0))
        listed = key("attention.recurrent_layers")
        interval = int(key("full_attention_interval", 4))
        recurrent = listed or [(i + 1) % interval != 0 for i in range(self.layers)]
        self.kinds = ["linear_attention" if recurrent[i] else "full_attention" for i in range(self.layers)]
        self.key_heads, self.value_heads = int(key("ssm.group_count")), int(key("ssm.time_step_rank"))
        self.size, self.taps = int(key("ssm.state_size")), int(key("ssm.conv_kernel"))
        self.rotated = int(key("rope.dimension_count"))


def settings(tensors: Tensors, architecture: str, head: int) -> dict:
    sizes = Sizes(tensors, architecture)
    return {
        "num_hidden_layers": sizes.layers, "layer_types": sizes.kinds, "linear_conv_kernel_dim": sizes.taps,
        "linear_key_head_dim": sizes.size, "linear_value_head_dim": sizes.size, "linear_num_key_heads": sizes.key_heads,
        "linear_num_value_heads": sizes.value_heads, "partial_rotary_factor": sizes.rotated / head,
    }


def state(tensors: Tensors, architecture: str) -> dict[str, np.ndarray]:
    """Layers' tensors: value heads in groups of a key head, norms around 0, no layers of multi-token prediction."""
    sizes = Sizes(tensors, architecture)

    def grouped(x: np.ndarray, size: int) -> np.ndarray:
        """Rows of value heads, which the file has in turns of the key heads."""
        heads = x.reshape(sizes.value_heads // sizes.key_heads, sizes.key_heads, size, *x.shape[1:])
        return heads.swapaxes(0, 1).reshape(x.shape)

    def behind_keys(x: np.ndarray) -> np.ndarray:
        first = 2 * sizes.key_heads * sizes.size
        return np.concatenate([x[:first], grouped(x[first:], sizes.size)])

    found = {}
    for name, value in tensors.values.items():
        if not name.startswith("blk."):
            continue
        _, index, kind = name.split(".")[:3]
        if int(index) >= sizes.layers:
            continue
        if "norm" in kind and kind != "ssm_norm":
            value = value - 1
        elif kind in ("attn_qkv", "ssm_conv1d"):
            value = behind_keys(value)
        elif kind == "attn_gate":
            value = grouped(value, sizes.size)
        elif kind in ("ssm_alpha", "ssm_beta", "ssm_a", "ssm_dt"):
            value = grouped(value, 1)
        elif kind == "ssm_out":
            value = grouped(value.T, sizes.size).T
        prefix = f"model.layers.{index}."
        if kind == "ffn_up_exps":
            continue
        if kind == "ffn_gate_exps":
            # transformers keeps gate and up of an expert as one matrix.
            up = tensors.values[name.replace("gate", "up")]
            found[prefix + "mlp.experts.gate_up_proj"] = np.concatenate([value, up], axis=1)
            continue
        if kind == "ffn_down_exps":
            found[prefix + "mlp.experts.down_proj"] = value
            continue
        if kind == "ffn_gate_inp_shexp":
            value = value.reshape(1, -1)
        if kind == "ssm_a":
            found[prefix + "linear_attn.A_log"] = np.log(-value)
        elif kind == "ssm_dt":
            found[prefix + "linear_attn.dt_bias"] = value
        elif kind == "ssm_conv1d":
            found[prefix + "linear_attn.conv1d.weight"] = value[:, None]
        else:
            found[f"{prefix}{COMMON[kind]}.{name.split('.')[-1]}"] = value
    return found
