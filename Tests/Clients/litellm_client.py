#!/usr/bin/env python3
"""LiteLLM's library against the service, as OpenAI's API and as two local servers that it knows."""

import os

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # no list of prices from the web

import litellm  # noqa: E402

from support import Service, check, questions, raises, run, yellow  # noqa: E402

SERVICE = Service("--alias", "scenes")
litellm.suppress_debug_info = True
litellm.telemetry = False


def ask(question, provider="openai", **more):
    return litellm.completion(
        model=f"{provider}/scenes", api_base=SERVICE.url + "/v1", api_key="none", temperature=0, num_retries=0,
        messages=question.messages(), **more)


def each_provider_answers_rightly():
    for provider in ("openai", "hosted_vllm", "llamafile"):
        for question in questions()[:2]:
            reply = ask(question, provider)
            question.check(reply.choices[0].message.content)
            check(reply.usage.completion_tokens > 0, reply)


def streams():
    for provider in ("openai", "hosted_vllm", "llamafile"):
        chunks = list(ask(yellow(), provider, stream=True, stream_options={"include_usage": True}))
        yellow().check("".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices))
        check(any(getattr(chunk, "usage", None) for chunk in chunks), "no usage")


def errors_have_their_classes():
    with raises(litellm.BadRequestError):
        ask(yellow(), top_p=7)


if __name__ == "__main__":
    with SERVICE:
        run(each_provider_answers_rightly, streams, errors_have_their_classes)
