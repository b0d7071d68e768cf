"""Package my-plugin: greets somebody."""

from dataclasses import dataclass

from stepwell import Rejected, example, field, node, package

package(name="my-plugin", version="0.1.0", licence="Apache-2.0")


@dataclass
class Input:
    name: str = field(title="Who is greeted", zh_cn="问候谁")


@dataclass
class Output:
    text: str = field(title="Greeting", zh_cn="问候语")


@node(
    title={"en": "Greet", "zh-CN": "问候"},
    summary={"en": "Says hello to somebody.", "zh-CN": "向某人问好。"},
    category="text",
    errors={"NO_NAME": "There is nobody to greet"},
    examples=[example("Ada", input={"name": "Ada"}, output={"text": "Hello, Ada"})],
)
def greet(input: Input) -> Output:
    if not input.name:
        raise Rejected("NO_NAME", "There is nobody to greet")
    return Output(text=f"Hello, {input.name}")
