use rquickjs::{Context, Runtime};
use stepwell_sdk::{Call, Error, Manifest, Outcome, Plugin, export, manifest, permanent, OUT, Emission};

struct Script;
impl Plugin for Script {
    fn manifest() -> Manifest { manifest!("../manifest.json") }
    fn run(_: &str, _: &Call, config: &str, _input: &str) -> Result<Outcome, Error> {
        let rt = Runtime::new().map_err(|_| permanent("rt"))?;
        let ctx = Context::full(&rt).map_err(|_| permanent("ctx"))?;
        ctx.with(|ctx| {
            let s: String = ctx.eval(config).map_err(|e| permanent(format!("{e:?}")))?;
            Ok(Outcome::Done(Emission { port: OUT.into(), output: s }))
        })
    }
}
export!(Script);
