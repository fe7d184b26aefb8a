"""What server_tests.py knows of llama-server's tests. Patterns are fnmatch's, over "file.py::test[parameters]"."""

WITHOUT = "Occam does not offer"

# (pattern, reason): not run.
NOT_APPLICABLE = [
    ("test_embedding.py::*", f"{WITHOUT} embeddings"),
    ("test_vision_api.py::test_vision_embeddings*", f"{WITHOUT} embeddings"),
    ("test_metrics.py::test_metrics_embedding*", f"{WITHOUT} embeddings"),
    ("test_rerank.py::*", f"{WITHOUT} reranking"),
    ("test_infill.py::*", f"{WITHOUT} infill"),
    ("test_lora.py::*", f"{WITHOUT} LoRA"),
    ("test_speculative.py::*", f"{WITHOUT} speculative decoding"),
    ("test_slot_save.py::*", f"{WITHOUT} saving and restoring slots"),
    ("test_ctx_shift.py::test_ctx_shift_enabled", f"{WITHOUT} context shift"),
    ("test_router.py::*", f"{WITHOUT} a router of several models"),
    ("test_stream.py::*", f"{WITHOUT} a router of several models, whose streams are resumed"),
    ("test_sleep.py::*", f"{WITHOUT} unloading the model when idle"),
    ("test_mcp_servers.py::*", f"{WITHOUT} MCP"),
    ("test_tools_builtin.py::*", f"{WITHOUT} tools that run on the server"),
    ("test_security.py::test_cors_origins_defaults_to_localhost*", f"{WITHOUT} tools that run on the server"),
    ("test_proxy.py::*", f"{WITHOUT} a proxy: it makes no connections of its own"),
    ("test_security.py::test_cors_proxy*", f"{WITHOUT} a proxy: it makes no connections of its own"),
    ("test_security.py::test_access_static_assets*", "asks for files of llama-server's own page"),
    ("test_security.py::test_cors_options[[]*", "pages of other sites are shut out unless --cors names them"),
    ("test_metrics.py::test_metrics_disabled", "metrics need no flag"),
    ("test_vision_api.py::test_vision_chat_completion[[]*IMG_URL*", f"{WITHOUT} fetching pictures from the web"),
    ("test_vision_api.py::test_vision_chat_completion_token_count", f"{WITHOUT} fetching pictures from the web"),
    ("test_compat_gcp.py::*", f"{WITHOUT} the API of Vertex AI"),
    ("test_kv_keep_only_active.py::*", "reads lines of llama-server's log about its prompt cache"),
]

TOKENS = "counts tokens of another model"
SEES = "expects a model that sees no pictures"
THINKS = "expects the thoughts of the model that it names"
CALLS = "expects the calls and answers of the model that it names"

# (pattern, expression that the failure must match, reason).
DIFFERS = [
    ("test_chat_completion.py::test_verbose_debug", "'Book' in", "the template has no system turn"),
    ("test_chat_completion.py::test_chat_template", r"== '<s> <\|start", "a space of another model's tokenizer"),
    ("test_chat_completion.py::test_chat_completion_cached_tokens", "assert [0-9]+ == 77", TOKENS),
    ("test_completion.py::test_completion_prompt_cache", "prompt_n", TOKENS),
    ("test_completion.py::test_completion_response_fields[[]*response_fields1]", "'<s>I believe", TOKENS),
    ("test_completion.py::test_json_prompt_mtm_error_when_not_supported", "200 != 200", SEES),
    ("test_template.py::test_date_inside_prompt[[]fireworks*", "400 == 200",
     "the template adds up texts and a variable that llama-server alone sets ('functions')"),
    ("test_ctx_shift.py::test_ctx_shift_disabled_long_prompt", "200 != 200", f"{TOKENS}: the text fits"),
    ("test_compat_anthropic.py::test_anthropic_vision_format_accepted", "200 == 500", SEES),
    ("test_compat_anthropic.py::test_anthropic_tool_result_with_image", "400 == 500",
     "the template has no turns of tools, so that their pictures are refused"),
    ("test_compat_anthropic.py::test_anthropic_empty_messages", "400 == 200",
     "a conversation of no messages is refused, as Anthropic refuses it"),
    ("test_compat_anthropic.py::test_anthropic_thinking_with_reasoning_model*", "[Ss]hould have .*thinking", THINKS),
    ("test_compat_oai_responses.py::test_responses_stream_with_llama_telemetry", "None is not None",
     "a reply that the limit cuts ends with response.incomplete, as OpenAI says it"),
    ("test_tool_call.py::test_thoughts*", "Expected .*, got|expected string or bytes-like", THINKS),
    ("test_tool_call.py::test_hello_world*", "Expected 1 tool call in", CALLS),
    ("test_tool_call.py::test_weather*", "Expected 1 tool call in", CALLS),
    ("test_tool_call.py::test_calc_result*", "Expected .*, got", CALLS),
    ("test_tool_call.py::test_completion_with_required_tool_real_model*-code-*",
     r"""'content': '{"tool_calls" ?: ?\[{"name" ?: ?"python" ?, ?"arg""",
     "the call is begun as required; this model's code goes on until the limit cuts it"),
]

# Tests whose regular expressions are words of another model.
WORDS = [
    "test_basic.py::test_load_split_model",
    "test_completion.py::test_completion[[]*", "test_completion.py::test_completion_stream[[]*",
    "test_completion.py::test_completion*_with_openai_library*",
    "test_chat_completion.py::test_chat_completion[[]*", "test_chat_completion.py::test_chat_completion_stream[[]*",
    "test_chat_completion.py::test_chat_completion_with_openai_library",
    "test_vision_api.py::test_vision_chat_completion[[]*", "test_vision_api.py::test_vision_completion[[]*",
    "test_compat_oai_responses.py::*",
]

# Tests whose counts of tokens are those of another tokenizer.
COUNTS = [
    "test_completion.py::test_completion[[]*", "test_completion.py::test_completion_stream[[]*",
    "test_chat_completion.py::test_chat_completion[[]*", "test_chat_completion.py::test_chat_completion_stream[[]*",
    "test_chat_completion.py::test_return_progress[[]*",
    "test_ctx_shift.py::test_ctx_shift_disabled_short_prompt[[]-1*",
]

# Tests for which a reply goes on until its limit: their model hardly ever ends one.
ENDLESS = [
    "test_completion.py::*", "test_chat_completion.py::*", "test_compat_oai_responses.py::*",
    "test_metrics.py::*", "test_ctx_shift.py::*",
]

# What the tests would load from the web, by the end of the address.
PICTURES = {"11_truck.png": "Tests/Photos/cat.jpg", "91_cat.png": "Tests/Photos/cat.jpg"}
