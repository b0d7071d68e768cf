//! Package `my-plugin`.

use stepwell_sdk::typed::*;

/// Greet
///
/// Says hello to somebody.
#[derive(JsonSchema)]
struct Greet;

#[derive(Deserialize, JsonSchema)]
struct Input {
    /// Who is greeted
    name: String,
}

#[derive(Serialize, JsonSchema)]
struct Output {
    /// Greeting
    text: String,
}

refusals! { enum Refusal { NoName = "NO_NAME": "There is nobody to greet" } }

impl Node for Greet {
    const NAME: &'static str = "greet";
    type Config = NoConfig;
    type Input = Input;
    type Output = Output;
    type Refusal = Refusal;

    fn about() -> About {
        About::category("text").example("Ada", json!({}), json!({ "name": "Ada" }), json!({ "text": "Hello, Ada" }))
    }

    fn run(_: &Call, _: NoConfig, input: Input) -> Result<Output, Error> {
        if input.name.is_empty() {
            return Err(Refusal::NoName.into());
        }
        Ok(Output { text: format!("Hello, {}", input.name) })
    }
}

plugin!(Greet);
