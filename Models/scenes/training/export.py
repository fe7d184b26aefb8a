"""Writes the trained weights as a GGUF pair: text model in F16 (occam-quantize makes Q8_0 and Q4_0 of it) and mmproj in F16."""

import os
import sys

import gguf
import numpy as np
import torch

import scenes
import vocabulary
from decoder import Model, latest
from model import MEAN, STD, TEXT, VISION

NAME = "Occam scenes"
# LLaVA-1.5's format. Content is a string in which a marker stands for the image (Occam, llama.cpp), or a list of
# {"type": "image"} and {"type": "text", "text": ...} (transformers); a line break follows the image either way.
TEMPLATE = (
    "{% for message in messages %}{% if message['role'] == 'user' %}{{ 'USER: ' }}"
    "{% if message['content'] is string %}{{ message['content'] | replace('<__media__>', '<__media__>\\n') }}{% else %}"
    "{% for part in message['content'] %}{% if part['type'] == 'image' %}{{ '<image>\\n' }}{% endif %}{% endfor %}"
    "{% for part in message['content'] %}{% if part['type'] == 'text' %}{{ part['text'] }}{% endif %}{% endfor %}{% endif %}{{ ' ' }}"
    "{% elif message['role'] == 'assistant' %}{{ 'ASSISTANT: ' + message['content'] + '</s>' }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ 'ASSISTANT:' }}{% endif %}"
)


def add(writer, name, tensor, matrix):
    values = tensor.detach().float().numpy()
    writer.add_tensor(name, values.astype(np.float16 if matrix else np.float32))


def described(writer):
    writer.add_name(NAME)
    writer.add_license("apache-2.0")
    writer.add_description("Small LLaVA-1.5-format model, trained on procedural scenes by the Occam project")
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_F16)


def mmproj(encoder, decoder, path):
    w = gguf.GGUFWriter(path, "clip")
    described(w)
    w.add_bool("clip.has_vision_encoder", True)
    w.add_string("clip.projector_type", "mlp")
    w.add_bool("clip.use_gelu", False)
    for key, value in dict(image_size=scenes.SIZE, patch_size=scenes.PATCH, embedding_length=VISION["width"],
                           feed_forward_length=VISION["ff"], projection_dim=TEXT["width"], block_count=VISION["layers"]).items():
        w.add_uint32(f"clip.vision.{key}", value)
    w.add_uint32("clip.vision.attention.head_count", VISION["heads"])
    w.add_float32("clip.vision.attention.layer_norm_epsilon", VISION["eps"])
    w.add_array("clip.vision.image_mean", list(MEAN))
    w.add_array("clip.vision.image_std", list(STD))
    # The file holds the layers that feed the projector, and all of them run: without this key llama.cpp would skip one.
    w.add_array("clip.vision.feature_layer", [VISION["layers"]])
    add(w, "v.patch_embd.weight", encoder.patch.weight.view(-1, 3, scenes.PATCH, scenes.PATCH), True)
    add(w, "v.class_embd", encoder.cls, False)
    add(w, "v.position_embd.weight", encoder.position, False)
    norms = [("v.pre_ln", encoder.pre)]
    for i, layer in enumerate(encoder.layers):
        norms += [(f"v.blk.{i}.ln1", layer.ln1), (f"v.blk.{i}.ln2", layer.ln2)]
        for name, part in (("attn_q", layer.q), ("attn_k", layer.k), ("attn_v", layer.v), ("attn_out", layer.out),
                           ("ffn_up", layer.up), ("ffn_down", layer.down)):
            add(w, f"v.blk.{i}.{name}.weight", part.weight, True)
            add(w, f"v.blk.{i}.{name}.bias", part.bias, False)
    for name, part in norms:
        add(w, name + ".weight", part.weight, False)
        add(w, name + ".bias", part.bias, False)
    for name, part in (("mm.0", decoder.projector[0]), ("mm.2", decoder.projector[2])):
        add(w, name + ".weight", part.weight, True)
        add(w, name + ".bias", part.bias, False)
    finish(w)


def text(decoder, processor, path):
    w = gguf.GGUFWriter(path, "llama")
    described(w)
    w.add_block_count(TEXT["layers"])
    w.add_context_length(2048)
    w.add_embedding_length(TEXT["width"])
    w.add_feed_forward_length(TEXT["ff"])
    w.add_head_count(TEXT["heads"])
    w.add_head_count_kv(TEXT["heads"])
    w.add_layer_norm_rms_eps(TEXT["eps"])
    w.add_rope_dimension_count(TEXT["width"] // TEXT["heads"])
    w.add_rope_freq_base(TEXT["base"])
    n = processor.get_piece_size()
    kinds = [2 if processor.is_unknown(i) else 3 if processor.is_control(i) else 6 if processor.is_byte(i) else 1 for i in range(n)]
    w.add_tokenizer_model("llama")
    w.add_token_list([processor.id_to_piece(i) for i in range(n)])
    w.add_token_scores([processor.get_score(i) for i in range(n)])
    w.add_token_types(kinds)
    w.add_bos_token_id(1)
    w.add_eos_token_id(2)
    w.add_unk_token_id(0)
    w.add_add_bos_token(True)
    w.add_add_eos_token(False)
    w.add_add_space_prefix(False)
    w.add_chat_template(TEMPLATE)
    add(w, "token_embd.weight", decoder.embedding.weight, True)
    for i, layer in enumerate(decoder.layers):
        add(w, f"blk.{i}.attn_norm.weight", layer.ln1.weight, False)
        add(w, f"blk.{i}.ffn_norm.weight", layer.ln2.weight, False)
        for name, part in (("attn_q", layer.q), ("attn_k", layer.k), ("attn_v", layer.v), ("attn_output", layer.out),
                           ("ffn_gate", layer.gate), ("ffn_up", layer.up), ("ffn_down", layer.down)):
            add(w, f"blk.{i}.{name}.weight", part.weight, True)
    add(w, "output_norm.weight", decoder.norm.weight, False)
    finish(w)


def finish(w):
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


def write(run, folder):
    os.makedirs(folder, exist_ok=True)
    processor = vocabulary.load(os.path.join(run, "vocabulary"))
    model = Model(run, processor.get_piece_size())
    state = torch.load(latest(run))
    for name, part in model.parts().items():
        part.load_state_dict(state[name])
    mmproj(model.encoder, model.decoder, os.path.join(folder, "mmproj-scenes-F16.gguf"))
    text(model.decoder, processor, os.path.join(folder, "scenes-F16.gguf"))


if __name__ == "__main__":
    write(*sys.argv[1:3])
