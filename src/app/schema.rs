//! `perfgate schema`: JSON Schemas of all files.

use clap::ValueEnum as _;
use schemars::JsonSchema;
use serde_json::Value;

use crate::app::output;
use crate::bisect::BisectReport;
use crate::cli::{SchemaArgs, SchemaFile};
use crate::config::schema;
use crate::exit::ExitStatus;
use crate::failure::Failure;
use crate::mlperf::MlperfReport;
use crate::record::format::ResultFile;
use crate::report::comparison::Comparison;
use crate::sweep::SweepReport;
use crate::terminal::Output;

pub(super) fn run(args: &SchemaArgs) -> Result<ExitStatus, Failure> {
    for file in SchemaFile::value_variants() {
        let (name, schema) = schema_of(*file);
        // `{:#}` of a JSON value is its indented text.
        let text = format!("{schema:#}\n");
        if args.file == Some(*file) {
            output::print(Output::Json, &text)?;
        }
        if let Some(folder) = &args.output {
            output::write(&folder.join(name), Output::Json, &text)?;
        }
    }
    Ok(ExitStatus::Pass)
}

/// The schema of a file, with its name.
fn schema_of(file: SchemaFile) -> (&'static str, Value) {
    match file {
        SchemaFile::Result => ("perfgate.result.schema.json", of::<ResultFile>()),
        SchemaFile::Comparison => ("perfgate.comparison.schema.json", of::<Comparison>()),
        SchemaFile::Sweep => ("perfgate.sweep.schema.json", of::<SweepReport>()),
        SchemaFile::Mlperf => ("perfgate.mlperf.schema.json", of::<MlperfReport>()),
        SchemaFile::Bisect => ("perfgate.bisect.schema.json", of::<BisectReport>()),
        SchemaFile::Perfgate => ("perfgate.yaml.schema.json", schema::plan()),
        SchemaFile::Thresholds => ("thresholds.yaml.schema.json", schema::policy()),
    }
}

fn of<T: JsonSchema>() -> Value {
    schemars::schema_for!(T).to_value()
}
