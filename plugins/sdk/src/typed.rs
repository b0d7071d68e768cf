//! The short way to write a node: a type per node, its config, input and output as plain structs, schemas derived from
//! them. [`plugin!`](crate::plugin) makes the component.
//!
//! Words for people come from doc comments: of the node its title (first line) and summary (the rest), of a field its
//! title and description. `#[schemars(extend("x-ui" = …))]` adds hints for the form.
//!
//! ```
//! use stepwell_sdk::typed::*;
//!
//! /// Greet
//! ///
//! /// Says hello to somebody.
//! #[derive(JsonSchema)]
//! struct Greet;
//! #[derive(Deserialize, JsonSchema)]
//! struct Input {
//!     /// Who is greeted
//!     name: String,
//! }
//! #[derive(Serialize, JsonSchema)]
//! struct Output {
//!     text: String,
//! }
//! impl Node for Greet {
//!     const NAME: &'static str = "greet";
//!     type Config = NoConfig;
//!     type Input = Input;
//!     type Output = Output;
//!     type Refusal = NoRefusal;
//!     fn about() -> About {
//!         About::category("text").example("Ada", json!({}), json!({ "name": "Ada" }), json!({ "text": "Hello, Ada" }))
//!     }
//!     fn run(_: &Call, _: NoConfig, input: Input) -> Result<Output, Error> {
//!         Ok(Output { text: format!("Hello, {}", input.name) })
//!     }
//! }
//! plugin!(Greet);
//!
//! fn main() {
//!     stepwell_sdk::testing::examples::<StepwellPlugin>();
//! }
//! ```
//!
//! Invariant: what `describe` says of a node and what `run` reads and writes come from the same types.
//!
//! Not here: reading manifests from a file (`manifest`), for nodes whose input is best borrowed.

pub use crate::{Call, Emission, Error, ErrorCode, Example, Outcome, Port, Signal, SignalKind, Waiting};
pub use crate::{permanent, transient, unknown};
pub use crate::{plugin, refusals};
pub use schemars::JsonSchema;
pub use serde::{Deserialize, Serialize};
pub use serde_json::{Value, json};

use crate::{Localized, NodeType, OUT, read, schema, write};
use serde::de::DeserializeOwned;

/// Shown where a node brings no picture of its own.
const ICON: &str = r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="1.75" stroke-linejoin="round"><path d="M12 3l8 4.5v9L12 21l-8-4.5v-9z"/><path d="M4 7.5l8 4.5 8-4.5M12 12v9"/></svg>"#;

/// One node type. Its doc comment is its title and, after an empty line, its summary.
pub trait Node: JsonSchema {
    /// Without the package: `reserve-stock`.
    const NAME: &'static str;
    /// What an author of flows sets on the node; [`NoConfig`] for nothing.
    type Config: DeserializeOwned + JsonSchema;
    /// What the flow maps in.
    type Input: DeserializeOwned + JsonSchema;
    /// What leaves it: a struct for the single port `out`, [`Waits`], or an own [`Output`] for several ports.
    type Output: Output;
    /// The business errors it lists; [`NoRefusal`] for none. See [`refusals!`](crate::refusals).
    type Refusal: Refusals;

    /// Category, icon, examples.
    fn about() -> About;

    /// Does the work. Safe to run twice with one `call.key`.
    fn run(call: &Call, config: Self::Config, input: Self::Input) -> Result<Self::Output, Error>;
}

/// A node that can be taken back.
pub trait Undo: Node {
    /// What the undo needs of the output.
    type Known: DeserializeOwned;

    /// Undoes the call `call.forward_key`. `known` is none where its outcome is not known. Must succeed where it never
    /// ran and where it is undone already, and keep it from having an effect later. A wait ends in [`Resume`].
    fn undo(
        call: &Call,
        config: Self::Config,
        input: Self::Input,
        known: Option<Self::Known>,
    ) -> Result<Option<Waiting>, Error>;
}

/// A node that goes on after a wait.
pub trait Resume: Node {
    /// What is kept while it waits.
    type Memo: DeserializeOwned + Serialize;

    /// Goes on, in a fresh instance, with `call.key` as before.
    fn resume(call: &Call, config: Self::Config, memo: Self::Memo, signal: Signal) -> Result<Self::Output, Error>;
}

/// A node that can find out what became of a call.
pub trait Query: Node {
    /// Asks about `call.key` without changing anything; none where it never ran.
    fn query(call: &Call, config: Self::Config, input: Self::Input) -> Result<Option<Self::Output>, Error>;
}

/// What leaves a node.
pub trait Output {
    fn ports() -> Vec<Port>;
    fn outcome(self) -> Result<Outcome, Error>;
}

impl<T: Serialize + JsonSchema> Output for T {
    fn ports() -> Vec<Port> {
        vec![port::<T>(OUT, "Done")]
    }

    fn outcome(self) -> Result<Outcome, Error> {
        crate::done(OUT, &self)
    }
}

/// What leaves a node that may have to wait first.
#[derive(Debug)]
pub enum Waits<O, M> {
    Done(O),
    /// Parks the visit until the message with this key comes; `timeout_ms: None` is for as long as the flow allows.
    Wait {
        message: String,
        key: String,
        timeout_ms: Option<u64>,
        memo: M,
    },
}

impl<O: Output, M: Serialize> Output for Waits<O, M> {
    fn ports() -> Vec<Port> {
        O::ports()
    }

    fn outcome(self) -> Result<Outcome, Error> {
        match self {
            Self::Done(output) => output.outcome(),
            Self::Wait { message, key, timeout_ms, memo } => crate::wait(&message, &key, timeout_ms, &memo),
        }
    }
}

/// A port whose schema is derived; for outputs with several.
pub fn port<T: JsonSchema>(name: &str, title: &str) -> Port {
    Port { name: name.to_owned(), title: english(title), output_schema: schema::of::<T>() }
}

/// The business errors of a node. Made by [`refusals!`](crate::refusals).
pub trait Refusals: Into<Error> {
    fn codes() -> Vec<ErrorCode>;
}

/// Of a node without business errors.
#[derive(Debug)]
pub enum NoRefusal {}

impl From<NoRefusal> for Error {
    fn from(none: NoRefusal) -> Self {
        match none {}
    }
}

impl Refusals for NoRefusal {
    fn codes() -> Vec<ErrorCode> {
        Vec::new()
    }
}

/// The business errors of a node: each a code for flows and a sentence for people.
///
/// ```
/// use stepwell_sdk::typed::*;
/// refusals! {
///     enum Refusal {
///         SoldOut = "SOLD_OUT": "There is none left",
///     }
/// }
/// assert_eq!(Error::from(Refusal::SoldOut), stepwell_sdk::rejected("SOLD_OUT", "There is none left"));
/// assert_eq!(Refusal::SoldOut.because("5 were asked for"), stepwell_sdk::rejected("SOLD_OUT", "5 were asked for"));
/// ```
#[macro_export]
macro_rules! refusals {
    ($(#[$about:meta])* $visible:vis enum $name:ident { $($variant:ident = $code:literal : $title:literal),+ $(,)? }) => {
        $(#[$about])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        $visible enum $name { $(#[doc = $title] $variant),+ }

        impl $name {
            fn told(self) -> (&'static str, &'static str) {
                match self { $(Self::$variant => ($code, $title)),+ }
            }
            /// With a message of its own.
            #[allow(dead_code, reason = "a node may need the plain sentences only")]
            $visible fn because(self, message: impl Into<String>) -> $crate::Error {
                $crate::rejected(self.told().0, message)
            }
        }
        impl From<$name> for $crate::Error {
            fn from(refusal: $name) -> Self {
                let (code, title) = refusal.told();
                $crate::rejected(code, title)
            }
        }
        impl $crate::typed::Refusals for $name {
            fn codes() -> Vec<$crate::ErrorCode> {
                vec![$($crate::typed::error_code($code, $title)),+]
            }
        }
    };
}

#[doc(hidden)]
pub fn error_code(code: &str, title: &str) -> ErrorCode {
    ErrorCode { code: code.to_owned(), title: english(title) }
}

/// A node type without configuration.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NoConfig {}

/// What the designer shows of a node beside its form.
#[derive(Debug)]
pub struct About {
    title: Vec<Localized>,
    summary: Vec<Localized>,
    category: String,
    icon: String,
    examples: Vec<Example>,
}

impl About {
    /// `category` is the palette's drawer: `data`, `logic`, `order`, `commerce`, `payment`, `network`, `script` or an
    /// own name.
    pub fn category(category: &str) -> Self {
        let (title, summary, examples) = (Vec::new(), Vec::new(), Vec::new());
        Self { title, summary, category: category.to_owned(), icon: ICON.to_owned(), examples }
    }

    /// Title and summary in another language than that of the doc comment, which is English.
    #[must_use]
    pub fn in_language(mut self, language: &str, title: &str, summary: &str) -> Self {
        let text = |text: &str| Localized { language: language.to_owned(), text: text.to_owned() };
        self.title.push(text(title));
        self.summary.push(text(summary));
        self
    }

    /// An SVG of at most 8 KiB, view box 24 x 24, drawn in `currentColor`.
    #[must_use]
    pub fn icon(mut self, svg: &str) -> Self {
        svg.clone_into(&mut self.icon);
        self
    }

    /// A call with its answer: run when the plugin is installed, offered as sample data.
    #[must_use]
    pub fn example(self, title: &str, config: Value, input: Value, output: Value) -> Self {
        self.example_on(title, config, input, OUT, output, None)
    }

    /// As [`Self::example`], with the requests it sends and the answers they get; see `example.http-tape` in `wit/`.
    #[must_use]
    pub fn example_with_tape(self, title: &str, config: Value, input: Value, output: Value, tape: Value) -> Self {
        self.example_on(title, config, input, OUT, output, Some(tape))
    }

    /// As [`Self::example`], by any port.
    #[must_use]
    pub fn example_on(
        mut self,
        title: &str,
        config: Value,
        input: Value,
        port: &str,
        output: Value,
        tape: Option<Value>,
    ) -> Self {
        self.examples.push(Example {
            title: english(title),
            config: config.to_string(),
            input: input.to_string(),
            port: port.to_owned(),
            output: output.to_string(),
            http_tape: tape.map(|tape| tape.to_string()),
        });
        self
    }
}

fn english(text: &str) -> Vec<Localized> {
    vec![Localized { language: "en".to_owned(), text: text.to_owned() }]
}

#[doc(hidden)]
pub fn node_type<N: Node>() -> NodeType {
    let About { title, summary, category, icon, examples } = N::about();
    let (first, rest) = schema::words::<N>();
    let both = |text: &str, others: Vec<Localized>| [english(text), others].concat();
    NodeType {
        name: N::NAME.to_owned(),
        title: both(if first.is_empty() { N::NAME } else { &first }, title),
        summary: both(&rest, summary),
        category,
        icon,
        config_schema: schema::of::<N::Config>(),
        input_schema: schema::of::<N::Input>(),
        ports: N::Output::ports(),
        errors: N::Refusal::codes(),
        has_undo: false,
        has_resume: false,
        has_query: false,
        has_check: false,
        examples,
    }
}

#[doc(hidden)]
pub fn run<N: Node>(call: &Call, config: &str, input: &str) -> Result<Outcome, Error> {
    N::run(call, read(config)?, read(input)?)?.outcome()
}

#[doc(hidden)]
pub fn undo<N: Undo>(call: &Call, config: &str, input: &str, output: Option<&str>) -> Result<Option<Waiting>, Error> {
    N::undo(call, read(config)?, read(input)?, output.map(read).transpose()?)
}

#[doc(hidden)]
pub fn resume<N: Resume>(call: &Call, config: &str, memo: &str, signal: &Signal) -> Result<Outcome, Error> {
    N::resume(call, read(config)?, read(memo)?, signal.clone())?.outcome()
}

#[doc(hidden)]
pub fn query<N: Query>(call: &Call, config: &str, input: &str) -> Result<Option<Outcome>, Error> {
    N::query(call, read(config)?, read(input)?)?.map(Output::outcome).transpose()
}

/// A wait of an undo; it ends in [`Resume::resume`].
pub fn waiting<M: Serialize>(message: &str, key: &str, timeout_ms: Option<u64>, memo: &M) -> Result<Waiting, Error> {
    Ok(Waiting { message: message.to_owned(), key: key.to_owned(), timeout_ms, memo: write(memo)? })
}

/// Makes the component of [`Node`]s: `plugin!(Greet)`, or, of more nodes and with the optional traits that they have,
/// `plugin!(Begin, Pay; undo: Begin, Pay; resume: Pay; query: Pay)`.
///
/// Name, version and licence are those of `Cargo.toml`. Under `cargo test` it adds two tests: that the examples are
/// true, and that the cases in `cases/` are.
#[macro_export]
macro_rules! plugin {
    ($($node:ident),+ $(; undo: $($undo:ident),+)? $(; resume: $($resume:ident),+)? $(; query: $($query:ident),+)? $(;)?) => {
        #[doc(hidden)]
        struct StepwellPlugin;

        impl $crate::Plugin for StepwellPlugin {
            fn manifest() -> $crate::Manifest {
                #[allow(unused_mut, reason = "for nodes without optional exports")]
                let mut node_types = vec![$($crate::typed::node_type::<$node>()),+];
                for node_type in &mut node_types {
                    let name = node_type.name.as_str();
                    node_type.has_undo = [$($(<$undo as $crate::typed::Node>::NAME),+)?].contains(&name);
                    node_type.has_resume = [$($(<$resume as $crate::typed::Node>::NAME),+)?].contains(&name);
                    node_type.has_query = [$($(<$query as $crate::typed::Node>::NAME),+)?].contains(&name);
                }
                $crate::Manifest {
                    name: env!("CARGO_PKG_NAME").to_owned(),
                    version: env!("CARGO_PKG_VERSION").to_owned(),
                    licence: env!("CARGO_PKG_LICENSE").to_owned(),
                    node_types,
                }
            }

            fn run(node_type: &str, call: &$crate::Call, config: &str, input: &str) -> Result<$crate::Outcome, $crate::Error> {
                $(if node_type == <$node as $crate::typed::Node>::NAME {
                    return $crate::typed::run::<$node>(call, config, input);
                })+
                Err($crate::no_such("run", node_type))
            }

            $(fn undo(
                node_type: &str,
                call: &$crate::Call,
                config: &str,
                input: &str,
                output: Option<&str>,
            ) -> Result<Option<$crate::Waiting>, $crate::Error> {
                $(if node_type == <$undo as $crate::typed::Node>::NAME {
                    return $crate::typed::undo::<$undo>(call, config, input, output);
                })+
                Err($crate::no_such("undo", node_type))
            })?

            $(fn resume(
                node_type: &str,
                call: &$crate::Call,
                config: &str,
                memo: &str,
                signal: &$crate::Signal,
            ) -> Result<$crate::Outcome, $crate::Error> {
                $(if node_type == <$resume as $crate::typed::Node>::NAME {
                    return $crate::typed::resume::<$resume>(call, config, memo, signal);
                })+
                Err($crate::no_such("resume", node_type))
            })?

            $(fn query(
                node_type: &str,
                call: &$crate::Call,
                config: &str,
                input: &str,
            ) -> Result<Option<$crate::Outcome>, $crate::Error> {
                $(if node_type == <$query as $crate::typed::Node>::NAME {
                    return $crate::typed::query::<$query>(call, config, input);
                })+
                Err($crate::no_such("query", node_type))
            })?
        }

        $crate::export!(StepwellPlugin);
        $($crate::__also_export!(StepwellPlugin undo exported_undo $($undo)+);)?
        $($crate::__also_export!(StepwellPlugin resume exported_resume $($resume)+);)?
        $($crate::__also_export!(StepwellPlugin query exported_query $($query)+);)?

        #[cfg(test)]
        mod stepwell {
            #[test]
            fn the_examples_are_true() {
                $crate::testing::examples::<super::StepwellPlugin>();
            }

            #[test]
            fn the_cases_are_true() {
                $crate::testing::cases::<super::StepwellPlugin>(concat!(env!("CARGO_MANIFEST_DIR"), "/cases"));
            }
        }
    };
}

/// The nodes are given only so that the caller can repeat this where there are some.
#[doc(hidden)]
#[macro_export]
macro_rules! __also_export {
    ($plugin:ident $optional:ident $module:ident $($node:ident)+) => {
        #[allow(unsafe_code, reason = "generated by wit-bindgen")]
        mod $module {
            use super::Exports;
            $crate::__export_optional!($optional);
        }
        $crate::__implement_optional!($optional, $plugin);
    };
}
