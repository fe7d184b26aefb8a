#!/usr/bin/env python3
"""Anthropic's own Python client against the service."""

import anthropic

from support import Service, check, questions, raises, run, yellow

SERVICE = Service("--alias", "scenes", "--api-key", "secret")
CLIENT = anthropic.Anthropic(base_url=SERVICE.url, api_key="secret", max_retries=0)
GREEDY = {"model": "scenes", "max_tokens": 64, "extra_body": {"temperature": 0}}


def messages(question):
    source = {"type": "base64", "media_type": "image/png", "data": question.png}
    content = [{"type": "image", "source": source}, {"type": "text", "text": question.text}]
    return [{"role": "user", "content": content}]


def pictures_are_answered_rightly():
    for question in questions():
        reply = CLIENT.messages.create(**GREEDY, messages=messages(question))
        question.check(reply.content[0].text)
        check(reply.stop_reason == "end_turn" and reply.role == "assistant", reply)
        check(reply.usage.input_tokens > 0 and reply.usage.output_tokens > 0, reply.usage)


def streams():
    with CLIENT.messages.stream(**GREEDY, messages=messages(yellow())) as stream:
        yellow().check("".join(stream.text_stream))
        final = stream.get_final_message()
    yellow().check(final.content[0].text)
    check(final.stop_reason == "end_turn" and final.usage.output_tokens > 0, final)
    kinds = [event.type for event in CLIENT.messages.create(**GREEDY, messages=messages(yellow()), stream=True)]
    check(kinds[0] == "message_start" and kinds[-1] == "message_stop", kinds)


def a_limit_is_a_reason():
    reply = CLIENT.messages.create(
        model="scenes", max_tokens=2, system="Answer.", messages=[{"role": "user", "content": "What do you see?"}])
    check(reply.stop_reason == "max_tokens" and reply.usage.output_tokens == 2, reply)


def tokens_are_counted():
    count = CLIENT.messages.count_tokens(model="scenes", messages=messages(yellow())).input_tokens
    used = CLIENT.messages.create(**GREEDY, messages=messages(yellow())).usage
    cached = getattr(used, "cache_read_input_tokens", None) or 0
    check(count == used.input_tokens + cached, f"{count} {used}")


def errors_have_their_classes():
    with raises(anthropic.BadRequestError, "messages"):
        CLIENT.messages.create(**GREEDY, messages=[])
    with raises(anthropic.AuthenticationError):
        anthropic.Anthropic(base_url=SERVICE.url, api_key="wrong", max_retries=0).messages.create(
            **GREEDY, messages=messages(yellow()))


if __name__ == "__main__":
    with SERVICE:
        run(pictures_are_answered_rightly, streams, a_limit_is_a_reason, tokens_are_counted, errors_have_their_classes)
