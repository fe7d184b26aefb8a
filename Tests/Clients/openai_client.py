#!/usr/bin/env python3
"""OpenAI's own Python client against the service."""

import json

import openai

from support import Service, check, questions, raises, run, yellow

SERVICE = Service("--alias", "scenes")
CLIENT = openai.OpenAI(base_url=SERVICE.url + "/v1", api_key="none", max_retries=0)
GREEDY = {"model": "scenes", "temperature": 0}


def chat(**more):
    return CLIENT.chat.completions.create(**{**GREEDY, **more})


def models_are_listed():
    names = [model.id for model in CLIENT.models.list()]
    check(names == ["scenes"], names)


def pictures_are_answered_rightly():
    for question in questions():
        reply = chat(messages=question.messages())
        question.check(reply.choices[0].message.content)
        check(reply.choices[0].finish_reason == "stop", reply)
        check(reply.usage.total_tokens == reply.usage.prompt_tokens + reply.usage.completion_tokens, reply.usage)


def streams_are_the_whole_reply():
    question = yellow()
    whole = chat(messages=question.messages())
    chunks = list(chat(messages=question.messages(), stream=True, stream_options={"include_usage": True}))
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    question.check(text)
    check(not chunks[-1].choices and chunks[-1].usage == whole.usage, chunks[-1])
    check([c.choices[0].finish_reason for c in chunks if c.choices][-1] == "stop", chunks)


def two_pictures_and_a_conversation():
    question = yellow()
    first = chat(messages=question.messages()).choices[0].message
    messages = question.messages() + [{"role": "assistant", "content": first.content}]
    reply = chat(messages=messages + [{"role": "user", "content": question.text}], max_tokens=8)
    check(reply.choices[0].message.content and reply.usage.prompt_tokens > 144, reply)


def schemas_hold():
    schema = {
        "type": "object", "required": ["object", "sure"], "additionalProperties": False,
        "properties": {"object": {"enum": ["car", "house", "tree"]}, "sure": {"type": "boolean"}}}
    reply = chat(
        messages=yellow().messages(),
        response_format={"type": "json_schema", "json_schema": {"name": "thing", "schema": schema, "strict": True}})
    value = json.loads(reply.choices[0].message.content)
    check(value["object"] in ("car", "house", "tree") and isinstance(value["sure"], bool) and len(value) == 2, value)


TOOL = {
    "type": "function",
    "function": {
        "name": "paint", "description": "Paints an object.",
        "parameters": {
            "type": "object", "required": ["colour"], "additionalProperties": False,
            "properties": {"colour": {"enum": ["red", "green", "yellow"]}}}}}


def tools_are_called():
    for choice in ("required", {"type": "function", "function": {"name": "paint"}}):
        reply = chat(messages=[{"role": "user", "content": "Paint it."}], tools=[TOOL], tool_choice=choice)
        check(reply.choices[0].finish_reason == "tool_calls", reply)
        call = reply.choices[0].message.tool_calls[0]
        check(call.function.name == "paint" and call.id, call)
        check(json.loads(call.function.arguments)["colour"] in ("red", "green", "yellow"), call)


def tools_are_called_in_a_stream():
    stream = chat(
        messages=[{"role": "user", "content": "Paint it."}], tools=[TOOL], tool_choice="required", stream=True)
    name, arguments, reason = "", "", None
    for chunk in stream:
        for call in chunk.choices[0].delta.tool_calls or []:
            name += call.function.name or ""
            arguments += call.function.arguments or ""
        reason = chunk.choices[0].finish_reason or reason
    check(name == "paint" and reason == "tool_calls", (name, reason))
    check(json.loads(arguments)["colour"] in ("red", "green", "yellow"), arguments)


def a_tools_result_is_read():
    call = {"id": "call_1", "type": "function", "function": {"name": "paint", "arguments": '{"colour": "red"}'}}
    reply = chat(max_tokens=12, tools=[TOOL], tool_choice="none", messages=[
        {"role": "user", "content": "Paint it."}, {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_1", "content": "done"}])
    check(reply.choices[0].message.tool_calls is None, reply)


def logprobs_are_given():
    reply = chat(messages=yellow().messages(), logprobs=True, top_logprobs=3)
    tokens = reply.choices[0].logprobs.content
    yellow().check("".join(token.token for token in tokens))
    for token in tokens:
        check(len(token.top_logprobs) == 3 and token.logprob <= 0, token)
        # The end has no text.
        check(not token.token or token.top_logprobs[0].token == token.token, token)


def completions():
    asked = {**GREEDY, "prompt": "USER: What do you see? ASSISTANT:", "max_tokens": 12}
    whole = CLIENT.completions.create(**asked)
    parts = [chunk.choices[0].text for chunk in CLIENT.completions.create(**asked, stream=True)]
    check(whole.choices[0].text and "".join(parts) == whole.choices[0].text, parts)


def picture_input(question):
    """As the newer API takes it."""
    picture = {"type": "input_image", "image_url": question.url, "detail": "auto"}
    return [{"role": "user", "content": [picture, {"type": "input_text", "text": question.text}]}]


def responses():
    question = yellow()
    reply = CLIENT.responses.create(**GREEDY, input=picture_input(question))
    question.check(reply.output_text)
    check(reply.status == "completed" and reply.usage.output_tokens > 0, reply)
    check(CLIENT.responses.create(**GREEDY, input="What do you see?", max_output_tokens=4).output_text, "no text")


def responses_as_a_stream():
    question = yellow()
    events = list(CLIENT.responses.create(**GREEDY, input=picture_input(question), stream=True))
    check(events[0].type == "response.created" and events[-1].type == "response.completed", events)
    question.check("".join(event.delta for event in events if event.type == "response.output_text.delta"))
    question.check(events[-1].response.output_text)
    with CLIENT.responses.stream(**GREEDY, input=picture_input(question)) as stream:
        stream.until_done()
        question.check(stream.get_final_response().output_text)


def errors_have_their_classes():
    with raises(openai.BadRequestError, "messages"):
        chat(messages=[])
    with raises(openai.BadRequestError, "temperature"):
        chat(messages=yellow().messages(), temperature=-1)
    with raises(openai.BadRequestError):
        chat(messages=[{"role": "user", "content": [
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}]}])
    with raises(openai.NotFoundError):
        CLIENT.get("/nowhere", cast_to=object)


def keys_are_asked_for():
    with Service("--api-key", "secret") as service:
        for key, isRight in (("wrong", False), ("secret", True)):
            client = openai.OpenAI(base_url=service.url + "/v1", api_key=key, max_retries=0)
            if isRight:
                yellow().check(client.chat.completions.create(
                    model="any", temperature=0, messages=yellow().messages()).choices[0].message.content)
                continue
            with raises(openai.AuthenticationError, "API Key"):
                client.chat.completions.create(model="any", messages=yellow().messages())


if __name__ == "__main__":
    with SERVICE:
        run(models_are_listed, pictures_are_answered_rightly, streams_are_the_whole_reply,
            two_pictures_and_a_conversation, schemas_hold, tools_are_called, tools_are_called_in_a_stream,
            a_tools_result_is_read, logprobs_are_given, completions, responses, responses_as_a_stream,
            errors_have_their_classes, keys_are_asked_for)
