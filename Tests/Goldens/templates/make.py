"""Golden renderings of chat templates, by jinja2 set up as the transformers library does it.

    python make.py            writes snippets.json and chats.json beside this file
    python make.py DIR OUT    renders every *.jinja of DIR on the conversations below, into OUT

No random numbers. The versions used are written into the files.
"""

import json
import pathlib
import sys

import jinja2

from make_environment import environment

HERE = pathlib.Path(__file__).parent


def case(name, template, variables):
    try:
        return {"name": name, "template": template, "variables": variables,
                "expected": environment().from_string(template).render(**variables)}
    except Exception as error:  # any failure of the peer must be a failure of ours
        return {"name": name, "template": template, "variables": variables, "error": type(error).__name__}


VARIABLES = {
    "n": 7, "f": 2.5, "s": "Hello, World", "t": " \t padded \n", "e": "", "yes": True, "no": False, "nil": None,
    "list": [3, 1, 2], "words": ["b", "A", "c"], "nested": [[1, "x"], [2, "y"]], "d": {"b": 1, "a": "two", "c": None},
    "users": [{"name": "Ann", "age": 30, "tags": ["x"]}, {"name": "bob", "age": 25}, {"name": "Cy", "age": 41, "ok": True}],
    "u": "caf\u00e9 \u65e5\u672c \U0001f600", "lines": "one\ntwo\r\n\nfour\n", "q": "it's \"quoted\" \\ back",
}

SNIPPETS = """
{{ n }} {{ f }} {{ s }} {{ yes }} {{ no }} {{ nil }} {{ missing }}
{{ list }} {{ words }} {{ nested }} {{ d }} {{ (1,) }} {{ (1, 'a') }} {{ [] }} {{ {} }} {{ () }}
{{ [q, t, u] }} {{ "a'b" ~ ['a"b', "a'b", 'a\\\\b'] }}
{{ 1 + 2 * 3 - 4 }} {{ (1 + 2) * 3 }} {{ 7 // 2 }} {{ -7 // 2 }} {{ 7 % 3 }} {{ -7 % 3 }} {{ 7 % -3 }} {{ 7 / 2 }} {{ 2 ** 10 }} {{ 2 ** 3 ** 2 }} {{ 2 ** -1 }}
{{ 1.5 + 1 }} {{ 7.5 // 2 }} {{ -7.5 % 2 }} {{ 1e3 }} {{ 1e20 }} {{ 1e-7 }} {{ 0.1 + 0.2 }} {{ 1_000 }} {{ 100000000000000000000.0 }}
{{ 'a' 'b' "c" }} {{ 'ab' * 3 }} {{ 2 * 'xy' }} {{ 'ab' * -1 }} {{ [1] + [2, 3] }} {{ 'a' + 'b' }} {{ 1 ~ 'a' ~ none ~ true ~ 1.0 ~ [1] }}
{{ 1 < 2 }} {{ 1 < 2 < 3 }} {{ 1 < 3 < 2 }} {{ 'a' < 'b' }} {{ 1 == 1.0 }} {{ 1 == true }} {{ '1' == 1 }} {{ [1, 2] == [1, 2] }} {{ (1, 2) == [1, 2] }} {{ {'a': 1} == {'a': 1} }} {{ [1, 2] < [1, 3] }} {{ none == missing }} {{ missing == nothing }}
{{ 'lo' in s }} {{ 'x' not in s }} {{ 1 in list }} {{ 9 not in list }} {{ 'a' in d }} {{ 'z' in d }} {{ 'a' in missing }} {{ not 1 in list }}
{{ yes and no }} {{ yes or no }} {{ not yes }} {{ 0 or 'x' }} {{ '' or [] or 'z' }} {{ 1 and 2 }} {{ not '' }} {{ no or missing }}
{{ 'a' if yes else 'b' }} {{ 'a' if no }} {{ 'a' if no else 'b' if no else 'c' }} {{ ('a' if yes) ~ 'x' }} {{ 1 if yes else 2 + 3 }}
{{ s[0] }} {{ s[-1] }} {{ s[7:] }} {{ s[:5] }} {{ s[::-1] }} {{ s[1:8:2] }} {{ s[-5:-1] }} {{ s[100:] }} {{ s[5:2] }} {{ s[99] }} {{ u[3] }} {{ u[5:7] }} {{ u[::-1] }} {{ list[1:] }} {{ list[::-1] }} {{ list[-1] }} {{ list[9] }} {{ list[::2] }} {{ list[-100:100] }} {{ list[5:0:-1] }} {{ list[:0:-1] }} {{ words.1 }}
{{ d.a }} {{ d['a'] }} {{ d.zzz }} {{ d['zzz'] }} {{ d.get('a') }} {{ d.get('z') }} {{ d.get('z', 5) }} {{ d.items() | list }} {{ d.keys() | list }} {{ d.values() | list }} {{ users[0].name }} {{ users[1]['age'] }} {{ users[0].tags[0] }} {{ nil.x }} {{ n.x }} {{ s.x }}
{{ t | trim }}|{{ s | length }}|{{ u | length }}|{{ s | upper }}|{{ s | lower }}|{{ list | join }}|{{ list | join(', ') }}|{{ users | join('-', attribute='name') }}|{{ list | first }}|{{ list | last }}|{{ [] | first }}|{{ s | first }}|{{ s | last }}
{{ missing | default('x') }} {{ e | default('x') }} {{ e | default('x', true) }} {{ nil | default('x') }} {{ nil | d('x', boolean=true) }} {{ missing | d }} {{ d.zz | default(d.b) }}
{{ d | tojson }} {{ nested | tojson }} {{ u | tojson }} {{ q | tojson }} {{ "</a>&'" | tojson }} {{ 1.0 | tojson }} {{ none | tojson }} {{ true | tojson }} {{ [] | tojson(indent=2) }} {{ {1: 2, none: 3} | tojson }} {{ t | tojson }} {{ "\\x01\\x7f\\u2028" | tojson }}
{{ d | tojson(indent=2) }}{{ nested | tojson(indent=4) }}{{ d | tojson(separators=(',', ':')) }}{{ d | tojson(false) }}{{ nested | tojson(indent=1, separators=(';', '=')) }}{{ users | tojson(indent=1) }}
{{ s | replace('l', 'L') }} {{ s | replace('l', 'L', 1) }} {{ 'aaa' | replace('aa', 'b') }} {{ 'ab' | replace('', '-') }} {{ 123 | replace(2, 'x') }}
{{ 'abc' | list }} {{ d | list }} {{ (1, 2) | list }} {{ range(3) | list }} {{ range(2, 8, 3) | list }} {{ range(3, 0, -1) | list }} {{ range(5, 2) | list }}
{{ users | selectattr('ok') | map(attribute='name') | list }}
{{ users | selectattr('age', 'gt', 26) | map(attribute='name') | join(',') }} {{ users | rejectattr('ok', 'defined') | map(attribute='name') | list }} {{ users | selectattr('name', 'equalto', 'bob') | list | length }} {{ users | map(attribute='tags', default='none') | list }} {{ words | map('upper') | list }} {{ [{'tags': ['x']}, {'tags': []}] | map(attribute='tags.0') | list }} {{ words | map('replace', 'A', 'Z') | list }}
{{ list | select('odd') | list }} {{ list | reject('equalto', 1) | list }} {{ [0, 1, '', 'a', none] | select | list }} {{ [missing, 1] | select('defined') | list }}
{{ list | sort }} {{ words | sort }} {{ words | sort(case_sensitive=true) }} {{ list | sort(reverse=true) }} {{ users | sort(attribute='age') | map(attribute='name') | list }} {{ list | reverse | list }} {{ s | reverse }} {{ list | sum }} {{ users | sum(attribute='age') }} {{ list | min }} {{ list | max }} {{ words | max }} {{ ['a', 'A', 'b'] | unique | list }} {{ d | dictsort }} {{ [] | max }}
{{ '42' | int }} {{ 'x' | int }} {{ 'x' | int(5) }} {{ 3.9 | int }} {{ '3.9' | int }} {{ -3.9 | int }} {{ '2.5' | float }} {{ 'x' | float }} {{ 5 | string }} {{ -5 | abs }} {{ 2.567 | round(2) }} {{ 2.5 | round }} {{ 2.1 | round(0, 'ceil') }} {{ 2.9 | round(method='floor') }} {{ 7 | round }}
{{ 'hello world-foo (bar)' | title }} {{ 'hELLO' | capitalize }} {{ '<a href="x">\\'&' | escape }} {{ '<b>' | safe }} {{ 'a b  c' | wordcount }} {{ lines | indent(2) }} {{ lines | indent(2, first=true) }} {{ 'a\\n\\nb' | indent('> ', blank=true) }}
{{ t.strip() }}|{{ t.lstrip() }}|{{ t.rstrip() }}|{{ 'xxaxx'.strip('x') }}|{{ 'xyaxy'.lstrip('yx') }}|{{ 'a,b,,c'.split(',') }}|{{ ' a  b '.split() }}|{{ 'a,b,c'.split(',', 1) }}|{{ 'a,b,c'.rsplit(',', 1) }}|{{ 'abc'.split('abc') }}|{{ 'a</think>b'.split('</think>')[-1] }}|{{ lines.splitlines() }}|{{ ''.split(',') }}|{{ ''.split() }}
{{ s.startswith('Hell') }} {{ s.endswith('ld') }} {{ s.startswith(('x', 'H')) }} {{ s.endswith('') }} {{ s.upper() }} {{ s.lower() }} {{ "they're BILL'S".title() }} {{ 'hELLO'.capitalize() }} {{ s.replace('o', '0') }} {{ s.replace('o', '0', 1) }} {{ s.find('World') }} {{ s.find('zz') }} {{ u.find('\u65e5') }} {{ s.count('l') }} {{ ','.join(words) }} {{ 'prefix-x'.removeprefix('prefix-') }} {{ 'x.txt'.removesuffix('.txt') }} {{ '12'.isdigit() }} {{ 'ab1'.isalpha() }} {{ list.count(1) }} {{ list.index(2) }} {{ 'r\\nn' | trim }}
{{ n is defined }} {{ missing is defined }} {{ missing is undefined }} {{ nil is none }} {{ s is string }} {{ u is not string }} {{ d is mapping }} {{ list is iterable }} {{ s is iterable }} {{ n is iterable }} {{ n is number }} {{ yes is number }} {{ yes is integer }} {{ f is float }} {{ n is integer }} {{ yes is boolean }} {{ yes is true }} {{ no is false }} {{ 1 is true }} {{ list is sequence }} {{ d is sequence }} {{ missing is iterable }} {{ missing is none }}
{{ 3 is odd }} {{ 3 is even }} {{ 9 is divisibleby 3 }} {{ 9 is divisibleby(2) }} {{ 1 is in [1, 2] }} {{ 1 is eq 1 }} {{ 2 is gt(1) }} {{ 2 is lessthan 3 }} {{ 'a' is in 'abc' }} {{ 'abc' is lower }} {{ 'ABC' is upper }} {{ '12' is upper }} {{ nil is sameas none }} {{ 1 is sameas true }} {{ range is callable }} {{ not n is defined }} {{ n is defined and n > 3 }} {{ n is not none }}
{{ -n }} {{ +n }} {{ -n | abs }} {{ --n }} {{ not not n }} {{ -list[0] }} {{ - 2 ** 2 }}
{% if n > 5 %}big{% elif n > 2 %}mid{% else %}small{% endif %} {% if no %}a{% elif no %}b{% endif %}|{% if not missing %}ok{% endif %}
{% for x in list %}{{ loop.index }}/{{ loop.length }}:{{ x }}{% if not loop.last %}, {% endif %}{% endfor %}|{% for x in [] %}x{% else %}empty{% endfor %}|{% for x in missing %}x{% else %}none{% endfor %}
{% for k, v in d.items() %}{{ k }}={{ v }};{% endfor %}{% for k in d %}{{ k }}{% endfor %}{% for a, b in nested %}{{ a }}{{ b }}{% endfor %}{% for c in 'h\u00e9' %}[{{ c }}]{% endfor %}{% for (a, b) in nested %}{{ b }}{% endfor %}{% for k, v in d | dictsort %}{{ k }}{% endfor %}
{% for x in list if x > 1 %}{{ loop.index0 }}{{ x }}{{ loop.first }}{{ loop.last }}{{ loop.revindex }}{{ loop.revindex0 }}{% else %}no{% endfor %}{% for x in list if x > 9 %}{% else %}no{% endfor %}
{% for x in list %}{{ loop.previtem }}<{{ x }}>{{ loop.nextitem is defined }}{{ loop.cycle('a', 'b') }} {% endfor %}
{% for x in range(10) %}{% if x == 2 %}{% continue %}{% endif %}{% if x == 5 %}{% break %}{% endif %}{{ x }}{% endfor %}
{% for a in [1, 2] %}{% for b in [1, 2] %}{{ a }}{{ b }}{{ loop.index }}{% if b == 1 %}{% continue %}{% endif %};{% endfor %}{{ loop.index }}{% endfor %}
{% set x = 1 %}{{ x }}{% set x = x + 1 %}{{ x }}{% for i in [1, 2] %}{% set x = x + 10 %}{{ x }}{% endfor %}{{ x }}{% if yes %}{% set x = 99 %}{% endif %}{{ x }}
{% set ns = namespace(found=false, n=0) %}{% for i in list %}{% set ns.n = ns.n + i %}{% if i == 1 %}{% set ns.found = true %}{% endif %}{% endfor %}{{ ns.n }} {{ ns.found }} {{ ns.zz is defined }}
{% set a, b = 1, 2 %}{{ a }}{{ b }}{% set c = 1, 2 %}{{ c }}{% set (p, q2) = nested[0] %}{{ p }}{{ q2 }}
{% set body %}text {{ n }}{% endset %}[{{ body }}]{% set up | upper %}abc{% endset %}{{ up }}
{% macro f(a, b='x', c=none) %}<{{ a }}{{ b }}{{ c }}>{% endmacro %}{{ f(1) }}{{ f(1, 2) }}{{ f(1, c=3) }}{{ f() }}{{ f(b=2, a=1) }}{{ f(1) | upper }}
{% set g = 5 %}{% macro m(x) %}{{ x }}{{ g }}{% if x > 0 %}{{ m(x - 1) }}{% endif %}{% endmacro %}{{ m(3) }}
{% macro wrap(tag) %}<{{ tag }}>{{ caller() }}</{{ tag }}>{% endmacro %}{% call wrap('b') %}in {{ n }}{% endcall %}{% macro each(xs) %}{% for x in xs %}{{ caller(x) }},{% endfor %}{% endmacro %}{% call(v) each(list) %}{{ v * 2 }}{% endcall %}
{% filter upper %}abc {{ s }}{% endfilter %}{% with a = 1, b = 2 %}{{ a + b }}{% endwith %}{{ a is defined }}{% generation %}gen {{ n }}{% endgeneration %}
{% raw %}{{ not }} {% evaluated %} {# at all #}{% endraw %}!{%- raw -%}  x  {%- endraw -%}  y
a {# comment #} b {#- strip -#} c {# two
lines #} d
{{ '}}' }} {{ "{%" }} {{ {'a': {'b': 1}}['a']['b'] }} {{ {'k': [1, {'z': 2}]} }} {{ {'a': 1,} }} {{ [1, 2,] }} {{ '%}' }}
{{ 'tab\\tnl\\nq\\'q\\"b\\\\u\\u00e9x\\x41o\\101z\\qz' }}
{{ dict(a=1, b=2) }} {{ dict({'x': 1}, y=2) }} {{ strftime_now('%Y') }} {{ range(3) is iterable }} {{ {'a': 1}.items() | list }} {{ d | items | list }} {{ {1: 'a', 1.0: 'b', true: 'c'} }} {{ {'a': 1}['a'] }} {{ d | length }} {{ d | count }}
{{ '<{}|{}>'.format(1, 'b') }} {{ '{1}{0}{{}}{n}'.format(1, 2, n=none) }} {{ none | selectattr('x') | list }} {{ none | map('upper') | list }} {{ 0 | select | list }}
{{ [1, 2, 3] | map('string') | join('+') }} {{ [[1, 2], [3]] | map('length') | list }} {{ [1, [2, (3, none)]] }} {{ 'a' in ['a'] and 'b' not in ['a'] }} {{ (1, 2)[0] }} {{ ('x',) + ('y',) }} {{ 'x' ~ 1 + '2' }} {{ 1 ~ 'x' + 'y' }} {{ 2 * 3 ~ 4 }}
{{ n | default(1) + 1 }} {{ s | upper | lower | length }} {{ s.split(', ') | last | first }} {{ (s | length) > 3 }} {{ s | length > 3 }} {{ users | map(attribute='age') | list | sum }} {{ [s, n] | join('/') | upper }} {{ 'a' ~ 'b' | upper }}
""".strip("\n").replace("\nlines #}", "\x00").split("\n")
SNIPPETS = [snippet.replace("\x00", "\nlines #}") for snippet in SNIPPETS]

# Spaces and newlines around tags.
SNIPPETS += [
    "a\n{% if yes %}\nb\n{% endif %}\nc\n", "a\n  {% if yes %}\n  b\n  {% endif %}\n  c", "  {% if yes %}x{% endif %}  \n",
    "a {% if yes %} b {% endif %} c", "a  {%- if yes -%}  b  {%- endif -%}  c", "a\n\n{%- if yes %}\n\nb{% endif -%}\n\n c",
    "a\n  {%+ if yes %}b{% endif %}", "a{% if yes +%}\nb{% endif +%}\nc", "{{ n }}\n{{ n }}\n", "{{- n -}}  x", "x  {{- n }} y {{ n -}}  z",
    "  {{ n }}\n  {# c #}\n  x", "a\n  {#- c -#}\n  b", "{# c #}\nx", "{% set x = 1 %}\n\n{{ x }}\n\n\n", "{% for i in [1,2] %}\n  - {{ i }}\n{% endfor %}\nend\n",
    "a\r\nb\r{% if yes %}\r\nc{% endif %}", "{% if yes %}\n{% if yes %}\n  deep\n{% endif %}\n{% endif %}\n", "\t{% if yes %}x{% endif %}", "\n\n{% if yes %}\n{% endif %}\n\n",
    "  {% raw %}  x  {% endraw %}  y", "a\n  {% raw %}\nx\n  {% endraw %}\ny", "{% raw %}\nx{% endraw -%}\n  y\n  {% if yes %}z{% endif %}", "x{%- raw %} y {% endraw %}",
    "{% if yes -%}\n  {% if yes %}q{% endif %}\n{% endif %}", "{%- for i in [1] -%}\n {{ i }}\n{%- endfor %}\n\n", "{{ 1 }}  {% if yes %}x{% endif %}", "{% if yes %} {% endif %}|",
]

# What must fail.
SNIPPETS += [
    "{{ missing.x }}", "{{ missing['x'] }}", "{{ missing() }}", "{{ missing + 1 }}", "{{ 'a' + 1 }}", "{{ 1 / 0 }}", "{{ 1 // 0 }}", "{{ 1 % 0 }}", "{{ [] < 1 }}", "{{ 1 < 'a' }}",
    "{{ n() }}", "{{ n | nofilter }}", "{{ n is notest }}", "{{ missing | tojson }}", "{{ 5 | length }}", "{{ 1 in 5 }}", "{{ 1 in 'a' }}", "{{ '{}'.format() }}", "{{ '{'.format(1) }}", "{{ none | list }}", "{{ list.append(4) }}", "{{ d.update({}) }}",
    "{{ raise_exception('no') }}", "{% for x in 5 %}{% endfor %}", "{% for a, b in list %}{% endfor %}", "{% set n.x = 1 %}", "{{ range(200000) | list }}", "{{ range(1, 5, 0) }}", "{{ {[]: 1} }}",
    "{{", "{{ n", "{% if %}", "{% if n %}", "{% endif %}", "{% for %}", "{% for x list %}{% endfor %}", "{% for x in list %}", "{% else %}", "{% foo %}", "{{ 'abc }}", "{{ 1 + }}", "{{ ) }}", "{{ (1 }}",
    "{{ [1, }}", "{{ {'a' 1} }}", "{% raw %}x", "{# x", "{{ n | }}", "{{ n is }}", "{{ n. }}", "{{ n[ }}", "{% set %}", "{% set x %}", "{% set 1 = 2 %}", "{% set none = 2 %}", "{% macro %}{% endmacro %}", "{{ n n }}",
    "{{ ! }}", "{{ n $ }}", "{% break %}", "{{ s.split('') }}", "{{ list.index(9) }}", "{{ f(1) }}", "{% macro g(a) %}{% endmacro %}{{ g(1, 2) }}", "{% macro g(a) %}{% endmacro %}{{ g(z=2) }}", "{{ ('a' if no).x }}",
    "{{ -'a' }}", "{{ s[1:2:0] }}", "{{ s['a':] }}", "{% if n %}{% endfor %}", "{{ ns.x.y }}", "{{ [1] | sort(attribute='x') | first + 1 }}", "{{ [1, 'a'] | sort }}", "{% call n() %}x{% endcall %}",
]

CHATS = {
    "llama-2": "{% if messages[0]['role'] == 'system' %}{% set loop_messages = messages[1:] %}{% set system_message = messages[0]['content'] %}{% else %}{% set loop_messages = messages %}{% set system_message = false %}{% endif %}{% for message in loop_messages %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}{% endif %}{% if loop.index0 == 0 and system_message != false %}{% set content = '<<SYS>>\\n' + system_message + '\\n<</SYS>>\\n\\n' + message['content'] %}{% else %}{% set content = message['content'] %}{% endif %}{% if message['role'] == 'user' %}{{ bos_token + '[INST] ' + content.strip() + ' [/INST]' }}{% elif message['role'] == 'assistant' %}{{ ' '  + content.strip() + ' ' + eos_token }}{% endif %}{% endfor %}",
    "chatml": "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}",
    "llama-3": "{% set loop_messages = messages %}{% for message in loop_messages %}{% set content = '<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n'+ message['content'] | trim + '<|eot_id|>' %}{% if loop.index0 == 0 %}{% set content = bos_token + content %}{% endif %}{{ content }}{% endfor %}{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}{% endif %}",
    "gemma": "{{ bos_token }}{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}{% for message in messages %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}{% endif %}{% if (message['role'] == 'assistant') %}{% set role = 'model' %}{% else %}{% set role = message['role'] %}{% endif %}{{ '<start_of_turn>' + role + '\\n' + message['content'] | trim + '<end_of_turn>\\n' }}{% endfor %}{% if add_generation_prompt %}{{'<start_of_turn>model\\n'}}{% endif %}",
    "mistral": "{{ bos_token }}{% for message in messages %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}{% endif %}{% if message['role'] == 'user' %}{{ '[INST] ' + message['content'] + ' [/INST]' }}{% elif message['role'] == 'assistant' %}{{ message['content'] + eos_token}}{% else %}{{ raise_exception('Only user and assistant roles are supported!') }}{% endif %}{% endfor %}",
    "phi-3": "{% for message in messages %}{% if message['role'] == 'system' %}{{'<|system|>\\n' + message['content'] + '<|end|>\\n'}}{% elif message['role'] == 'user' %}{{'<|user|>\\n' + message['content'] + '<|end|>\\n'}}{% elif message['role'] == 'assistant' %}{{'<|assistant|>\\n' + message['content'] + '<|end|>\\n'}}{% endif %}{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>\\n' }}{% else %}{{ eos_token }}{% endif %}",
    "qwen2-vl": "{% set image_count = namespace(value=0) %}{% set video_count = namespace(value=0) %}{% for message in messages %}{% if loop.first and message['role'] != 'system' %}<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n{% endif %}<|im_start|>{{ message['role'] }}\n{% if message['content'] is string %}{{ message['content'] }}<|im_end|>\n{% else %}{% for content in message['content'] %}{% if content['type'] == 'image' or 'image' in content or 'image_url' in content %}{% set image_count.value = image_count.value + 1 %}{% if add_vision_id %}Picture {{ image_count.value }}: {% endif %}<|vision_start|><|image_pad|><|vision_end|>{% elif content['type'] == 'video' or 'video' in content %}{% set video_count.value = video_count.value + 1 %}{% if add_vision_id %}Video {{ video_count.value }}: {% endif %}<|vision_start|><|video_pad|><|vision_end|>{% elif 'text' in content %}{{ content['text'] }}{% endif %}{% endfor %}<|im_end|>\n{% endif %}{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}",
    "smolvlm": "<|im_start|>{% for message in messages %}{{message['role'] | capitalize}}{% if message['content'][0]['type'] == 'image' %}{{':'}}{% else %}{{': '}}{% endif %}{% for line in message['content'] %}{% if line['type'] == 'text' %}{{line['text']}}{% elif line['type'] == 'image' %}{{ '<image>' }}{% endif %}{% endfor %}<end_of_utterance>\n{% endfor %}{% if add_generation_prompt %}{{ 'Assistant:' }}{% endif %}",
    "llava-1.5": "{% for message in messages %}{% if message['role'] != 'system' %}{{ message['role'].upper() + ': '}}{% endif %}{# Render all images first #}{% for content in message['content'] | selectattr('type', 'equalto', 'image') %}{{ '<image>\\n' }}{% endfor %}{# Render all text next #}{% if message['role'] != 'assistant' %}{% for content in message['content'] | selectattr('type', 'equalto', 'text') %}{{ content['text'] + ' '}}{% endfor %}{% else %}{% for content in message['content'] | selectattr('type', 'equalto', 'text') %}{% generation %}{{ content['text'] + ' '}}{% endgeneration %}{% endfor %}{% endif %}{% endfor %}{% if add_generation_prompt %}{{ 'ASSISTANT:' }}{% endif %}",
    "vicuna": "{%- for message in messages %}\n    {%- if message.role == 'system' %}\n{{ message.content }}\n\n{% elif message.role == 'user' %}\n        {{- 'USER: ' ~ message.content ~ '\\n' }}\n    {%- else %}\n        {{- 'ASSISTANT: ' ~ message.content ~ '</s>\\n' }}\n    {%- endif %}\n{%- endfor %}\n{%- if add_generation_prompt %}\n    {{- 'ASSISTANT:' }}\n{%- endif %}\n",
}

USER = {"role": "user", "content": "<__media__>What is this?  "}
SYSTEM = {"role": "system", "content": "You are kind. \u00e9"}
ANSWER = {"role": "assistant", "content": " A cat. "}
SECOND = {"role": "user", "content": "Sure?\nReally?"}


def parts(message):
    return {"role": message["role"], "content": [{"type": "text", "text": message["content"]}]}


def with_image(message):
    return {"role": message["role"], "content": [{"type": "image"}, {"type": "text", "text": message["content"]}]}


CONVERSATIONS = {
    "question": [USER], "system": [SYSTEM, USER], "turns": [USER, ANSWER, SECOND], "all": [SYSTEM, USER, ANSWER, SECOND],
    "parts": [parts(SYSTEM), with_image(SECOND), parts(ANSWER), parts(SECOND)], "wrong": [ANSWER, USER], "none": [],
}


def chats(templates):
    cases = []
    for name, template in templates.items():
        for title, messages in CONVERSATIONS.items():
            for prompt in (True, False):
                variables = {"messages": messages, "add_generation_prompt": prompt, "bos_token": "<s>", "eos_token": "</s>"}
                cases.append(case(f"{name} / {title} / {prompt}", template, variables))
    return cases


def write(path, cases):
    content = {"generator": "Tests/Goldens/templates/make.py", "jinja2": jinja2.__version__, "cases": cases}
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n")
    failing = sum("error" in case for case in cases)
    print(f"{path.name}: {len(cases)} cases, {failing} of them errors")


if len(sys.argv) == 3:
    folder = pathlib.Path(sys.argv[1])
    write(pathlib.Path(sys.argv[2]), chats({path.stem: path.read_text() for path in sorted(folder.glob("*.jinja"))}))
else:
    cases = []
    for index, snippet in enumerate(SNIPPETS):
        made = case(f"snippet {index}", snippet, VARIABLES)
        del made["variables"]  # the same for all: written once
        cases.append(made)
    content = {"generator": "Tests/Goldens/templates/make.py", "jinja2": jinja2.__version__, "variables": VARIABLES, "cases": cases}
    (HERE / "snippets.json").write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n")
    print(f"snippets.json: {len(cases)} cases, {sum('error' in case for case in cases)} of them errors")
    write(HERE / "chats.json", chats(CHATS))
