"""llama.cpp through llama-cpp-python's ctypes layer: one text model, with its mmproj if there is one."""
import ctypes
import os
from pathlib import Path

# On a busy machine two spinning threads keep each other waiting. Read when the OpenMP library is loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
import llama_cpp as lib  # noqa: E402
import numpy as np  # noqa: E402
from llama_cpp import mtmd_cpp as mtmd  # noqa: E402

FLOATS = ctypes.POINTER(ctypes.c_float)
quiet = lib.llama_log_callback(lambda level, text, data: None)


class Pair:
    """A loaded pair. Flash attention is off unless asked for: that path accumulates in F32.

    flash: True, False, or None for llama.cpp's own choice. batch: tokens of one pass through the graph (n_ubatch); all
    of the context if None. tokens: the fewest and most of a picture, in the place of llama.cpp's own. causal: pictures are
    decoded causally even where mtmd would not; None: as it says.
    """

    def __init__(
        self, text: Path, mmproj: Path | None, *, threads=2, f32_cache=False, flash=False, context=1024, batch=None,
        tokens=None, causal=None
    ):
        lib.llama_log_set(quiet, None)
        mtmd.mtmd_helper_log_set(quiet, None)
        lib.llama_backend_init()
        parameters = lib.llama_model_default_params()
        parameters.n_gpu_layers = 0
        self.model = lib.llama_model_load_from_file(str(text).encode(), parameters)
        assert self.model, f"llama.cpp does not load {text}"
        attention = {
            None: lib.LLAMA_FLASH_ATTN_TYPE_AUTO,
            True: lib.LLAMA_FLASH_ATTN_TYPE_ENABLED,
            False: lib.LLAMA_FLASH_ATTN_TYPE_DISABLED,
        }[flash]
        settings = lib.llama_context_default_params()
        settings.n_ctx = context
        settings.n_batch = context
        settings.n_ubatch = batch or context
        self.context_length = context
        settings.n_threads = settings.n_threads_batch = threads
        settings.flash_attn_type = attention
        if f32_cache:
            settings.type_k = settings.type_v = lib.GGML_TYPE_F32
        self.context = lib.llama_init_from_model(self.model, settings)
        self.vocab = lib.llama_model_get_vocab(self.model)
        self.vocabulary = lib.llama_vocab_n_tokens(self.vocab)
        self.width = lib.llama_model_n_embd(self.model)
        # Of a picture's row, its DeepStack planes behind it.
        self.row_width = lib.llama_model_n_embd_inp(self.model)
        self.vision = None
        self.causal = causal
        if mmproj is None:
            return
        vision = mtmd.mtmd_context_params_default()
        vision.use_gpu = False
        vision.print_timings = False
        vision.n_threads = threads
        vision.warmup = False
        vision.flash_attn_type = attention
        if tokens:
            vision.image_min_tokens, vision.image_max_tokens = tokens
        self.vision = mtmd.mtmd_init_from_file(str(mmproj).encode(), self.model, vision)
        assert self.vision, f"llama.cpp does not load {mmproj}"

    def close(self):
        if self.vision:
            mtmd.mtmd_free(self.vision)
        lib.llama_free(self.context)
        lib.llama_model_free(self.model)

    def tokenize(self, prompt: str, images: list[np.ndarray]):
        """Chunks of the prompt, one `<__media__>` for each image (RGB, [height, width, 3])."""
        bitmaps = (mtmd.mtmd_bitmap_p_ctypes * max(len(images), 1))()
        for index, image in enumerate(images):
            height, width, _ = image.shape
            samples = np.ascontiguousarray(image, np.uint8)
            pointer = samples.ctypes.data_as(ctypes.POINTER(ctypes.c_uint8))
            bitmaps[index] = mtmd.mtmd_bitmap_init(width, height, pointer)
        chunks = mtmd.mtmd_input_chunks_init()
        text = prompt.encode()
        request = mtmd.mtmd_input_text(text=text, text_len=len(text), add_special=True, parse_special=True)
        code = mtmd.mtmd_tokenize(self.vision, chunks, ctypes.byref(request), bitmaps, len(images))
        assert code == 0, f"mtmd_tokenize: {code}"
        for index in range(len(images)):
            mtmd.mtmd_bitmap_free(bitmaps[index])
        return [mtmd.mtmd_input_chunks_get(chunks, i) for i in range(mtmd.mtmd_input_chunks_size(chunks))], chunks

    def text_ids(self, text: str) -> list[int]:
        """Token ids of a text, special tokens parsed, BOS where the vocabulary asks for it."""
        data = text.encode()
        room = len(data) + 8
        ids = (lib.llama_token * room)()
        count = lib.llama_tokenize(self.vocab, data, len(data), ids, room, True, True)
        assert count >= 0, f"llama_tokenize: {count}"
        return list(ids[:count])

    @staticmethod
    def is_image(chunk) -> bool:
        return mtmd.mtmd_input_chunk_get_type(chunk) == mtmd.MTMD_INPUT_CHUNK_TYPE_IMAGE

    @staticmethod
    def text_tokens(chunk) -> list[int]:
        count = ctypes.c_size_t()
        pointer = mtmd.mtmd_input_chunk_get_tokens_text(chunk, ctypes.byref(count))
        return [pointer[i] for i in range(count.value)]

    def encode(self, chunk) -> np.ndarray:
        """The projector's output for an image chunk, [tokens, row width]."""
        assert mtmd.mtmd_encode_chunk(self.vision, chunk) == 0
        count = mtmd.mtmd_input_chunk_get_n_tokens(chunk)
        pointer = ctypes.cast(mtmd.mtmd_get_output_embd(self.vision), FLOATS)
        return np.ctypeslib.as_array(pointer, (count, self.row_width)).copy()

    def is_causal(self, chunk) -> bool:
        return not mtmd.mtmd_decode_use_non_causal(self.vision, chunk) if self.causal is None else self.causal

    def describe(self, chunk) -> dict:
        """The chunk as manifests have it."""
        if not self.is_image(chunk):
            return {"text": self.text_tokens(chunk)}
        tokens = mtmd.mtmd_input_chunk_get_tokens_image(chunk)
        image = {
            "tokens": int(mtmd.mtmd_input_chunk_get_n_tokens(chunk)),
            "nx": int(mtmd.mtmd_image_tokens_get_nx(tokens)), "ny": int(mtmd.mtmd_image_tokens_get_ny(tokens)),
            "positions": int(mtmd.mtmd_input_chunk_get_n_pos(chunk)),
            "causal": self.is_causal(chunk),
        }
        return {"image": image}

    def places(self, chunks) -> list[list[int]]:
        """Of every token its position as a sequence counts, its row's and its column's: M-RoPE's three numbers."""
        places, position = [], 0
        for chunk in chunks:
            if self.is_image(chunk):
                tokens = mtmd.mtmd_input_chunk_get_tokens_image(chunk)
                for index in range(mtmd.mtmd_input_chunk_get_n_tokens(chunk)):
                    place = mtmd.mtmd_image_tokens_get_decoder_pos(tokens, position, index)
                    places.append([place.t, place.y, place.x])
            else:
                places += [[position + index] * 3 for index in range(len(self.text_tokens(chunk)))]
            position += mtmd.mtmd_input_chunk_get_n_pos(chunk)
        return places

    def evaluate(self, chunks, embeddings: list[np.ndarray]) -> np.ndarray:
        """Logits after the prompt, from an empty cache; each image chunk stands for the given embeddings."""
        self.clear()
        self.position = lib.llama_pos(0)
        remaining = iter(embeddings)
        for index, chunk in enumerate(chunks):
            if self.is_image(chunk):
                rows = np.ascontiguousarray(next(remaining), np.float32)
                if self.causal:
                    self.decode_rows(rows, self.position.value)
                    self.position.value += len(rows)
                    continue
                code = mtmd.mtmd_helper_decode_image_chunk(
                    self.vision, self.context, chunk, rows.ctypes.data_as(FLOATS), self.position, 0,
                    self.context_length, ctypes.byref(self.position), mtmd.mtmd_helper_post_decode_callback(0), None)
            else:
                code = mtmd.mtmd_helper_eval_chunk_single(
                    self.vision, self.context, chunk, self.position, 0, self.context_length, index == len(chunks) - 1,
                    ctypes.byref(self.position))
            assert code == 0, f"chunk {index}: {code}"
        return self.logits()

    def decode_rows(self, rows: np.ndarray, position: int):
        """One causal pass over embeddings, [tokens, width], that stand for tokens from `position` on."""
        count, width = rows.shape
        batch = lib.llama_batch_init(count, width, 1)
        batch.n_tokens = count
        ctypes.memmove(batch.embd, np.ascontiguousarray(rows, np.float32).ctypes.data, count * width * 4)
        for index in range(count):
            batch.pos[index] = position + index
            batch.n_seq_id[index] = 1
            batch.seq_id[index][0] = 0
            batch.logits[index] = int(index == count - 1)
        assert lib.llama_decode(self.context, batch) == 0
        lib.llama_batch_free(batch)

    def logits(self) -> np.ndarray:
        return np.ctypeslib.as_array(lib.llama_get_logits_ith(self.context, -1), (self.vocabulary,)).copy()

    def step(self, token: int) -> np.ndarray:
        """Logits after one more token."""
        self.decode([token])
        return self.logits()

    def decode(self, tokens: list[int]):
        """One pass over more tokens; logits of the last one."""
        array = (lib.llama_token * len(tokens))(*tokens)
        assert lib.llama_decode(self.context, lib.llama_batch_get_one(array, len(tokens))) == 0

    def clear(self):
        """Empties the cache."""
        lib.llama_memory_clear(lib.llama_get_memory(self.context), True)

    def piece(self, token: int) -> str:
        buffer = ctypes.create_string_buffer(256)
        count = lib.llama_token_to_piece(self.vocab, token, buffer, 256, 0, True)
        return buffer.raw[:count].decode(errors="replace")
