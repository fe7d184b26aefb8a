"""llama.cpp through llama-cpp-python's ctypes layer: one text model with its mmproj."""
import ctypes
from pathlib import Path

import llama_cpp as lib
import numpy as np
from llama_cpp import mtmd_cpp as mtmd

FLOATS = ctypes.POINTER(ctypes.c_float)
quiet = lib.llama_log_callback(lambda level, text, data: None)


class Pair:
    """A loaded pair. The context is as llama.cpp makes it, with flash attention off: that path accumulates in F32."""

    def __init__(self, text: Path, mmproj: Path, *, threads=2, f32_cache=False, flash=False, context=1024):
        lib.llama_log_set(quiet, None)
        mtmd.mtmd_helper_log_set(quiet, None)
        lib.llama_backend_init()
        parameters = lib.llama_model_default_params()
        parameters.n_gpu_layers = 0
        self.model = lib.llama_model_load_from_file(str(text).encode(), parameters)
        assert self.model, f"llama.cpp does not load {text}"
        attention = lib.LLAMA_FLASH_ATTN_TYPE_ENABLED if flash else lib.LLAMA_FLASH_ATTN_TYPE_DISABLED
        settings = lib.llama_context_default_params()
        settings.n_ctx = context
        settings.n_batch = settings.n_ubatch = context
        settings.n_threads = settings.n_threads_batch = threads
        settings.flash_attn_type = attention
        if f32_cache:
            settings.type_k = settings.type_v = lib.GGML_TYPE_F32
        self.context = lib.llama_init_from_model(self.model, settings)
        vision = mtmd.mtmd_context_params_default()
        vision.use_gpu = False
        vision.print_timings = False
        vision.n_threads = threads
        vision.warmup = False
        vision.flash_attn_type = attention
        self.vision = mtmd.mtmd_init_from_file(str(mmproj).encode(), self.model, vision)
        assert self.vision, f"llama.cpp does not load {mmproj}"
        self.vocab = lib.llama_model_get_vocab(self.model)
        self.vocabulary = lib.llama_vocab_n_tokens(self.vocab)
        self.width = lib.llama_model_n_embd(self.model)

    def close(self):
        mtmd.mtmd_free(self.vision)
        lib.llama_free(self.context)
        lib.llama_model_free(self.model)

    def tokenize(self, prompt: str, image: np.ndarray | None):
        """Chunks of the prompt, one `<__media__>` for the image (RGB, [height, width, 3])."""
        bitmaps = (mtmd.mtmd_bitmap_p_ctypes * 1)()
        if image is not None:
            height, width, _ = image.shape
            samples = np.ascontiguousarray(image, np.uint8)
            bitmaps[0] = mtmd.mtmd_bitmap_init(width, height, samples.ctypes.data_as(ctypes.POINTER(ctypes.c_uint8)))
        chunks = mtmd.mtmd_input_chunks_init()
        text = prompt.encode()
        request = mtmd.mtmd_input_text(text=text, text_len=len(text), add_special=True, parse_special=True)
        code = mtmd.mtmd_tokenize(self.vision, chunks, ctypes.byref(request), bitmaps, 0 if image is None else 1)
        assert code == 0, f"mtmd_tokenize: {code}"
        if image is not None:
            mtmd.mtmd_bitmap_free(bitmaps[0])
        return [mtmd.mtmd_input_chunks_get(chunks, i) for i in range(mtmd.mtmd_input_chunks_size(chunks))], chunks

    @staticmethod
    def is_image(chunk) -> bool:
        return mtmd.mtmd_input_chunk_get_type(chunk) == mtmd.MTMD_INPUT_CHUNK_TYPE_IMAGE

    @staticmethod
    def text_tokens(chunk) -> list[int]:
        count = ctypes.c_size_t()
        pointer = mtmd.mtmd_input_chunk_get_tokens_text(chunk, ctypes.byref(count))
        return [pointer[i] for i in range(count.value)]

    def encode(self, chunk) -> np.ndarray:
        """The projector's output for an image chunk, [tokens, width]."""
        assert mtmd.mtmd_encode_chunk(self.vision, chunk) == 0
        count = mtmd.mtmd_input_chunk_get_n_tokens(chunk)
        pointer = ctypes.cast(mtmd.mtmd_get_output_embd(self.vision), FLOATS)
        return np.ctypeslib.as_array(pointer, (count, self.width)).copy()

    def evaluate(self, chunks, embeddings: np.ndarray | None) -> np.ndarray:
        """Logits after the prompt, from an empty cache; the image chunk stands for the given embeddings."""
        lib.llama_memory_clear(lib.llama_get_memory(self.context), True)
        self.position = lib.llama_pos(0)
        for index, chunk in enumerate(chunks):
            if self.is_image(chunk):
                rows = np.ascontiguousarray(embeddings, np.float32)
                code = mtmd.mtmd_helper_decode_image_chunk(
                    self.vision, self.context, chunk, rows.ctypes.data_as(FLOATS), self.position, 0, 1024,
                    ctypes.byref(self.position), mtmd.mtmd_helper_post_decode_callback(0), None)
            else:
                code = mtmd.mtmd_helper_eval_chunk_single(
                    self.vision, self.context, chunk, self.position, 0, 1024, index == len(chunks) - 1,
                    ctypes.byref(self.position))
            assert code == 0, f"chunk {index}: {code}"
        return self.logits()

    def logits(self) -> np.ndarray:
        return np.ctypeslib.as_array(lib.llama_get_logits_ith(self.context, -1), (self.vocabulary,)).copy()

    def step(self, token: int) -> np.ndarray:
        """Logits after one more token."""
        tokens = (lib.llama_token * 1)(token)
        assert lib.llama_decode(self.context, lib.llama_batch_get_one(tokens, 1)) == 0
        return self.logits()

    def piece(self, token: int) -> str:
        buffer = ctypes.create_string_buffer(256)
        count = lib.llama_token_to_piece(self.vocab, token, buffer, 256, 0, True)
        return buffer.raw[:count].decode(errors="replace")
