//! QuickJS with one program in it, started once and asked many things.

use std::cell::RefCell;
use std::collections::BTreeMap;

use rquickjs::context::intrinsic;
use rquickjs::function::IntoArgs;
use rquickjs::{CatchResultExt, Context, Ctx, FromJs, Function, Module, Object, Runtime, Value};
use serde::Deserialize;
use stepwell_sdk::{Error, permanent};

use crate::files::Files;
use crate::host;

/// What a program can use. Left out: `performance` and weak references, whose answers depend on when.
type Intrinsics = (
    intrinsic::Date,
    intrinsic::Eval,
    intrinsic::RegExpCompiler,
    intrinsic::RegExp,
    intrinsic::Json,
    intrinsic::Proxy,
    intrinsic::MapSet,
    intrinsic::TypedArrays,
    intrinsic::Promise,
);

/// Less than the component's stack (see its build), so that endless recursion ends as an error.
const STACK_BYTES: usize = 192 * 1024;
/// Set aside when the component is built, so that a short call need not ask the host for memory.
const SPARE_BYTES: usize = 256 * 1024;
/// Where a program begins.
const MAIN: &str = "plugin.js";
const MESSAGE_BYTES_MAX: usize = 1500;

thread_local! {
    static READY: RefCell<Option<Context>> = const { RefCell::new(None) };
}

/// One question to the program; every text but the first two is JSON.
pub(crate) struct Asked<'a> {
    pub(crate) export: &'a str,
    pub(crate) node_type: &'a str,
    pub(crate) call: &'a str,
    pub(crate) config: &'a str,
    pub(crate) input: &'a str,
    pub(crate) output: &'a str,
    pub(crate) memo: &'a str,
    pub(crate) signal: &'a str,
}

impl Default for Asked<'_> {
    fn default() -> Self {
        let none = "null";
        Self {
            export: "",
            node_type: "",
            call: none,
            config: none,
            input: none,
            output: none,
            memo: none,
            signal: none,
        }
    }
}

/// What a program says of itself beside its nodes.
#[derive(Deserialize)]
pub(crate) struct About {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) licence: String,
}

/// Starts a program: its files as a JSON object of path to text. The error is for its author.
pub(crate) fn start(files: &str) -> Result<(), String> {
    let files: BTreeMap<String, String> = serde_json::from_str(files).map_err(|error| error.to_string())?;
    if !files.contains_key(MAIN) {
        return Err(format!("there is no src/{MAIN}"));
    }
    let main = files[MAIN].clone();
    let broken = |error: rquickjs::Error| format!("QuickJS does not start: {error}");
    let runtime = Runtime::new().map_err(broken)?;
    runtime.set_max_stack_size(STACK_BYTES);
    // Calls are short and their memory is bounded: collecting early is time lost.
    runtime.set_gc_threshold(16 << 20);
    let files = Files::new(files);
    runtime.set_loader(files.clone(), files);
    let context = Context::custom::<Intrinsics>(&runtime).map_err(broken)?;
    context.with(|ctx| {
        host::install(&ctx).map_err(broken)?;
        // Takes away what would make a second run of a call differ from the first; the same as for scripts in flows.
        ctx.eval::<(), _>(include_str!("../../script/src/prelude.js")).map_err(broken)?;
        program(&ctx, main).catch(&ctx).map_err(|error| cut(error.to_string()))?;
        ctx.eval::<(), _>(format!("new Uint8Array({SPARE_BYTES}); undefined")).map_err(broken)
    })?;
    runtime.run_gc();
    READY.set(Some(context));
    manifest().map(|_| ())
}

/// Runs the modules and keeps what they export.
fn program(ctx: &Ctx<'_>, main: String) -> rquickjs::Result<()> {
    let (module, done) = Module::declare(ctx.clone(), MAIN, main)?.eval()?;
    done.finish::<()>()?;
    let exported: Value<'_> = module.namespace()?.get("default")?;
    let (ours, done) = Module::declare(ctx.clone(), "stepwell/start", include_str!("start.js"))?.eval()?;
    done.finish::<()>()?;
    let start: Function<'_> = ours.namespace()?.get("start")?;
    let dispatcher: Object<'_> = start.call((exported,))?;
    ctx.globals().set("__stepwell", dispatcher)
}

/// What the program offers: about it, and its node types as a manifest's JSON.
pub(crate) fn manifest() -> Result<(About, String), String> {
    let (about, node_types): (String, String) = (call("about", ())?, call("nodeTypes", ())?);
    Ok((serde_json::from_str(&about).map_err(|error| format!("the plugin's own words: {error}"))?, node_types))
}

/// The program's answer as JSON.
pub(crate) fn ask(asked: &Asked<'_>) -> Result<String, Error> {
    let Asked { export, node_type, call: told, config, input, output, memo, signal } = *asked;
    let given = format!(
        r#"{{"call":{told},"config":{config},"input":{input},"output":{output},"memo":{memo},"signal":{signal}}}"#
    );
    call("answer", (export, node_type, given)).map_err(permanent)
}

fn call<A, R>(function: &str, arguments: A) -> Result<R, String>
where
    A: for<'js> IntoArgs<'js>,
    R: for<'js> FromJs<'js>,
{
    READY.with_borrow(|ready| {
        let context = ready.as_ref().ok_or("there is no program")?;
        context.with(|ctx| {
            let dispatcher: Object<'_> = ctx.globals().get("__stepwell").map_err(|error| error.to_string())?;
            let found: rquickjs::Result<Function<'_>> = dispatcher.get(function);
            let answer = found.and_then(|function| function.call::<_, R>(arguments));
            answer.catch(&ctx).map_err(|error| cut(error.to_string()))
        })
    })
}

fn cut(mut text: String) -> String {
    if text.len() > MESSAGE_BYTES_MAX {
        text.truncate(text.floor_char_boundary(MESSAGE_BYTES_MAX));
        text.push('…');
    }
    text
}
