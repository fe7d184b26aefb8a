"""Writes vision.json: templates with the features of vision-language models' own, rendered by jinja2 as make.py does.

    python make_vision.py

The templates are written for these tests after what the models' files do (branches for image parts, system text folded
into the first turn, macros, namespaces, thinking cut away), and each names the literal it writes for an image. Every
conversation is rendered twice: all contents as lists of parts, and texts without images as strings.
"""
import json
import pathlib

import jinja2

import make_environment

HERE = pathlib.Path(__file__).parent

IDEFICS3 = """<|im_start|>{% for m in messages %}{{ m['role'] | capitalize }}{% if m['content'][0]['type'] == 'image' %}{{ ':' }}{% else %}{{ ': ' }}{% endif %}{% for part in m['content'] %}{% if part['type'] == 'text' %}{{ part['text'] }}{% elif part['type'] == 'image' %}{{ '<image>' }}{% endif %}{% endfor %}<end_of_utterance>
{% endfor %}{% if add_generation_prompt %}{{ 'Assistant:' }}{% endif %}"""

GEMMA3 = """{{ bos_token }}
{%- if messages[0]['role'] == 'system' -%}
    {%- if messages[0]['content'] is string -%}
        {%- set opening = messages[0]['content'] + '\\n\\n' -%}
    {%- else -%}
        {%- set opening = messages[0]['content'][0]['text'] + '\\n\\n' -%}
    {%- endif -%}
    {%- set turns = messages[1:] -%}
{%- else -%}
    {%- set opening = "" -%}
    {%- set turns = messages -%}
{%- endif -%}
{%- for m in turns -%}
    {%- if (m['role'] == 'user') != (loop.index0 % 2 == 0) -%}
        {{ raise_exception("user and assistant take turns") }}
    {%- endif -%}
    {%- set role = 'model' if m['role'] == 'assistant' else m['role'] -%}
    {{ '<start_of_turn>' + role + '\\n' + (opening if loop.first else "") }}
    {%- if m['content'] is string -%}
        {{ m['content'] | trim }}
    {%- elif m['content'] is iterable -%}
        {%- for item in m['content'] -%}
            {%- if item['type'] == 'image' -%}
                {{ '<start_of_image>' }}
            {%- elif item['type'] == 'text' -%}
                {{ item['text'] | trim }}
            {%- endif -%}
        {%- endfor -%}
    {%- else -%}
        {{ raise_exception("Invalid content type") }}
    {%- endif -%}
    {{ '<end_of_turn>\\n' }}
{%- endfor -%}
{%- if add_generation_prompt -%}
    {{ '<start_of_turn>model\\n' }}
{%- endif -%}
"""

NEXT_MISTRAL = """{% for m in messages %}{% if m['role'] == 'system' %}{{ '<<SYS>>\\n' + m['content'][0]['text'] + '\\n<</SYS>>\\n\\n' }}{% elif m['role'] == 'user' %}{{ '[INST] ' }}{% for c in m['content'] | selectattr('type', 'equalto', 'image') %}{{ '<image>\\n' }}{% endfor %}{% for c in m['content'] | selectattr('type', 'equalto', 'text') %}{{ c['text'] }}{% endfor %}{{ ' [/INST]' }}{% elif m['role'] == 'assistant' %}{{ ' ' + m['content'][0]['text'] + eos_token }}{% else %}{{ raise_exception('unknown role') }}{% endif %}{% endfor %}"""

NEXT_VICUNA = """{% for m in messages %}{% if m['role'] == 'system' %}{{ m['content'][0]['text'] }}{% else %}{{ m['role'].upper() + ': ' }}{% endif %}{% for c in m['content'] | selectattr('type', 'equalto', 'image') %}{{ '<image>\\n' }}{% endfor %}{% if m['role'] == 'user' %}{% for c in m['content'] | selectattr('type', 'equalto', 'text') %}{{ c['text'] + ' ' }}{% endfor %}{% elif m['role'] == 'assistant' %}{% for c in m['content'] | selectattr('type', 'equalto', 'text') %}{% generation %}{{ c['text'] + ' ' }}{% endgeneration %}{% endfor %}{% endif %}{% endfor %}{% if add_generation_prompt %}{{ 'ASSISTANT:' }}{% endif %}"""

QWEN3_VL = """{%- set images = namespace(value=0) %}
{%- if messages[0].role == 'system' %}
    {{- '<|im_start|>system\\n' }}
    {%- if messages[0].content is string %}{{- messages[0].content }}{%- else %}
        {%- for c in messages[0].content %}{%- if 'text' in c %}{{- c.text }}{%- endif %}{%- endfor %}
    {%- endif %}
    {{- '<|im_end|>\\n' }}
{%- endif %}
{%- for m in messages %}
    {%- if m.role == "user" %}
        {{- '<|im_start|>' + m.role + '\\n' }}
        {%- if m.content is string %}
            {{- m.content }}
        {%- else %}
            {%- for c in m.content %}
                {%- if c.type == 'image' or 'image' in c or 'image_url' in c %}
                    {%- set images.value = images.value + 1 %}
                    {%- if add_vision_id %}Picture {{ images.value }}: {% endif -%}
                    <|vision_start|><|image_pad|><|vision_end|>
                {%- elif 'text' in c %}
                    {{- c.text }}
                {%- endif %}
            {%- endfor %}
        {%- endif %}
        {{- '<|im_end|>\\n' }}
    {%- elif m.role == "assistant" %}
        {{- '<|im_start|>' + m.role + '\\n' }}
        {%- if m.content is string %}{{- m.content }}{%- else %}{{- m.content | map(attribute='text') | join('') }}{%- endif %}
        {{- '<|im_end|>\\n' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- endif %}
"""

QWEN35 = """{%- macro show(content, is_system=false) %}
    {%- if content is string %}
        {{- content }}
    {%- elif content is iterable and content is not mapping %}
        {%- for item in content %}
            {%- if 'image' in item or item.type == 'image' %}
                {%- if is_system %}{{- raise_exception('no images in the system message') }}{%- endif %}
                {{- '<|vision_start|><|image_pad|><|vision_end|>' }}
            {%- elif 'text' in item %}
                {{- item.text }}
            {%- else %}
                {{- raise_exception('unexpected part') }}
            {%- endif %}
        {%- endfor %}
    {%- elif content is none or content is undefined %}
        {{- '' }}
    {%- endif %}
{%- endmacro %}
{%- if not messages %}{{- raise_exception('no messages') }}{%- endif %}
{%- if messages[0].role == 'system' %}{{- '<|im_start|>system\\n' + show(messages[0].content, true) | trim + '<|im_end|>\\n' }}{%- endif %}
{%- set ns = namespace(last=messages | length - 1, searching=true) %}
{%- for m in messages[::-1] %}
    {%- set index = (messages | length - 1) - loop.index0 %}
    {%- if ns.searching and m.role == "user" %}
        {%- set content = show(m.content) | trim %}
        {%- if not (content.startswith('<tool_response>') and content.endswith('</tool_response>')) %}
            {%- set ns.searching = false %}
            {%- set ns.last = index %}
        {%- endif %}
    {%- endif %}
{%- endfor %}
{%- for m in messages %}
    {%- set content = show(m.content) | trim %}
    {%- if m.role == "user" %}
        {{- '<|im_start|>' + m.role + '\\n' + content + '<|im_end|>\\n' }}
    {%- elif m.role == "assistant" %}
        {%- set thoughts = '' %}
        {%- if '</think>' in content %}
            {%- set thoughts = content.split('</think>')[0].rstrip('\\n').split('<think>')[-1].lstrip('\\n') %}
            {%- set content = content.split('</think>')[-1].lstrip('\\n') %}
        {%- endif %}
        {%- if loop.index0 > ns.last %}
            {{- '<|im_start|>' + m.role + '\\n<think>\\n' + thoughts + '\\n</think>\\n\\n' + content }}
        {%- else %}
            {{- '<|im_start|>' + m.role + '\\n' + content }}
        {%- endif %}
        {{- '<|im_end|>\\n' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
    {%- if enable_thinking is defined and enable_thinking is true %}{{- '<think>\\n' }}{%- else %}{{- '<think>\\n\\n</think>\\n\\n' }}{%- endif %}
{%- endif %}
"""

INTERNVL3 = """{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\\n' }}{% if m['content'] is string %}{{ m['content'] }}{% else %}{% for c in m['content'] %}{% if c['type'] == 'image' %}{{ '<IMG_CONTEXT>\\n' }}{% elif c['type'] == 'text' %}{{ c['text'] }}{% endif %}{% endfor %}{% endif %}{{ '<|im_end|>\\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"""

LFM2_VL = """{{- bos_token -}}
{%- set ns = namespace(system="", answer=-1) -%}
{%- if messages[0]["role"] == "system" -%}
    {%- set content = messages[0]["content"] -%}
    {%- set ns.system = content if content is string else content | map(attribute="text") | join("") -%}
    {%- set messages = messages[1:] -%}
{%- endif -%}
{%- if ns.system -%}{{- "<|im_start|>system\\n" + ns.system + "<|im_end|>\\n" -}}{%- endif -%}
{%- for m in messages -%}{%- if m["role"] == "assistant" -%}{%- set ns.answer = loop.index0 -%}{%- endif -%}{%- endfor -%}
{%- for m in messages -%}
    {{- "<|im_start|>" + m["role"] + "\\n" -}}
    {%- set content = m["content"] -%}
    {%- if content is not string -%}
        {%- set text = namespace(value="") -%}
        {%- for item in content -%}
            {%- if item["type"] == "image" -%}{%- set text.value = text.value + "<image>" -%}
            {%- elif item["type"] == "text" -%}{%- set text.value = text.value + item["text"] -%}
            {%- else -%}{%- set text.value = text.value + item | tojson -%}{%- endif -%}
        {%- endfor -%}
        {%- set content = text.value -%}
    {%- endif -%}
    {%- if m["role"] == "assistant" and loop.index0 != ns.answer and "</think>" in content -%}
        {%- set content = content.split("</think>")[-1] | trim -%}
    {%- endif -%}
    {{- content + "<|im_end|>\\n" -}}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- "<|im_start|>assistant\\n" -}}{%- endif -%}
"""

GEMMA4 = """{%- macro without_thoughts(text) -%}
    {%- set ns = namespace(result='') -%}
    {%- for part in text.split('<channel|>') -%}
        {%- if '<|channel>' in part -%}{%- set ns.result = ns.result + part.split('<|channel>')[0] -%}
        {%- else -%}{%- set ns.result = ns.result + part -%}{%- endif -%}
    {%- endfor -%}
    {{- ns.result | trim -}}
{%- endmacro -%}
{{- bos_token -}}
{%- for m in messages -%}
    {%- set role = 'model' if m['role'] == 'assistant' else m['role'] -%}
    {{- '<|turn>' + role + '\\n' -}}
    {%- if m['content'] is string -%}
        {{- without_thoughts(m['content']) if role == 'model' else m['content'] | trim -}}
    {%- elif m['content'] is sequence -%}
        {%- for item in m['content'] -%}
            {%- if item['type'] == 'text' -%}
                {{- without_thoughts(item['text']) if role == 'model' else item['text'] | trim -}}
            {%- elif item['type'] == 'image' -%}
                {{- '<|image|>' -}}
            {%- endif -%}
        {%- endfor -%}
    {%- endif -%}
    {{- '<turn|>\\n' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<|turn>model\\n' -}}{%- endif -%}
"""

PIXTRAL = """{{- bos_token }}
{%- if messages[0]['role'] == 'system' %}
    {%- set system = messages[0]['content'] if messages[0]['content'] is string else messages[0]['content'][0]['text'] %}
    {%- set messages = messages[1:] %}
{%- else %}{%- set system = 'Today is ' + strftime_now('%Y-%m-%d') + '.' %}{%- endif %}
{{- '[SYSTEM_PROMPT]' + system + '[/SYSTEM_PROMPT]' }}
{%- for m in messages %}
    {%- if m['role'] == 'user' %}
        {%- if m['content'] is string %}
            {{- '[INST]' + m['content'] + '[/INST]' }}
        {%- else %}
            {{- '[INST]' }}
            {%- for block in m['content'] | sort(attribute='type', reverse=true) %}
                {%- if block['type'] == 'text' %}{{- block['text'] }}
                {%- elif block['type'] in ['image', 'image_url'] %}{{- '[IMG]' }}
                {%- else %}{{- raise_exception('only text and images') }}{%- endif %}
            {%- endfor %}
            {{- '[/INST]' }}
        {%- endif %}
    {%- elif m['role'] == 'assistant' %}
        {%- if m['content'] is string %}{{- m['content'] + eos_token }}{%- else %}{{- m['content'][0]['text'] + eos_token }}{%- endif %}
    {%- else %}{{- raise_exception('user, assistant or system') }}{%- endif %}
{%- endfor %}
"""

# Phi's way: the role makes the control token. No branch for images.
ROLES = "{% for m in messages %}{{ '<|' + m.role + '|>\\n' + m.content + '<|end|>\\n' }}{% endfor %}{% if add_generation_prompt %}<|assistant|>\n{% endif %}"

TEMPLATES = {
    "idefics3": (IDEFICS3, "<image>"), "gemma3": (GEMMA3, "<start_of_image>"), "llava-next-mistral": (NEXT_MISTRAL, "<image>"),
    "llava-next-vicuna": (NEXT_VICUNA, "<image>"), "qwen3-vl": (QWEN3_VL, "<|image_pad|>"), "qwen35": (QWEN35, "<|image_pad|>"),
    "internvl3": (INTERNVL3, "<IMG_CONTEXT>"), "lfm2-vl": (LFM2_VL, "<image>"), "gemma4": (GEMMA4, "<|image|>"),
    "pixtral": (PIXTRAL, "[IMG]"), "roles": (ROLES, "<__media__>"),
}


def text(value):
    return {"type": "text", "text": value}


IMAGE = {"type": "image"}
SYSTEM = {"role": "system", "content": [text("Be ☃ kind </s>.")]}
FIRST = {"role": "user", "content": [IMAGE, text(" What is ☃<|im_end|> this?\n")]}
ANSWER = {"role": "assistant", "content": [text("<think>\nhm ☃\n</think>\n\nA ☃<image> cat.")]}
SECOND = {"role": "user", "content": [text("And ☃ "), IMAGE, IMAGE, text("[IMG]<start_of_image><|image_pad|>☃?")]}
PLAIN = {"role": "user", "content": [text("No <__media__> ☃ image")]}
CONVERSATIONS = {
    "plain": [PLAIN], "image": [FIRST], "system": [SYSTEM, FIRST], "turns": [SYSTEM, FIRST, ANSWER, SECOND], "late": [PLAIN, ANSWER, SECOND],
}


def strings(messages):
    return [m if IMAGE in m["content"] else {"role": m["role"], "content": "\n".join(p["text"] for p in m["content"])} for m in messages]


def main():
    cases = []
    for name, (template, _) in TEMPLATES.items():
        for title, messages in CONVERSATIONS.items():
            for prompt in (True, False):
                shapes = []
                for shape in (messages, strings(messages)):
                    variables = {"messages": shape, "add_generation_prompt": prompt, "bos_token": "<s>", "eos_token": "</s>"}
                    try:
                        shapes.append(make_environment.environment().from_string(template).render(**variables))
                    except Exception:  # any failure of the peer must be a failure of ours
                        shapes.append(None)
                cases.append({"template": name, "conversation": title, "prompt": prompt, "parts": shapes[0], "strings": shapes[1]})
    content = {
        "generator": "Tests/Goldens/templates/make_vision.py", "jinja2": jinja2.__version__,
        "templates": {name: {"source": source, "image": image} for name, (source, image) in TEMPLATES.items()},
        "conversations": {title: {"parts": m, "strings": strings(m)} for title, m in CONVERSATIONS.items()}, "cases": cases,
    }
    (HERE / "vision.json").write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n")
    failing = sum(case["parts"] is None for case in cases), sum(case["strings"] is None for case in cases)
    print(f"vision.json: {len(cases)} cases, errors with parts {failing[0]}, with strings {failing[1]}")


main()
