//! `perfgate schema`: JSON Schemas of all files.

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

/// All files with the names of their schemas.
const FILES: [(&str, SchemaFile); 7] = [
    ("perfgate.result.schema.json", SchemaFile::Result),
    ("perfgate.comparison.schema.json", SchemaFile::Comparison),
    ("perfgate.sweep.schema.json", SchemaFile::Sweep),
    ("perfgate.mlperf.schema.json", SchemaFile::Mlperf),
    ("perfgate.bisect.schema.json", SchemaFile::Bisect),
    ("perfgate.yaml.schema.json", SchemaFile::Perfgate),
    ("thresholds.yaml.schema.json", SchemaFile::Thresholds),
];

pub(super) fn run(args: &SchemaArgs) -> Result<ExitStatus, Failure> {
    if let Some(file) = args.file {
        output::print(Output::Json, &text(file))?;
    }
    if let Some(folder) = &args.output {
        for (name, file) in FILES {
            output::write(&folder.join(name), Output::Json, &text(file))?;
        }
    }
    Ok(ExitStatus::Pass)
}

fn text(file: SchemaFile) -> String {
    let schema = match file {
        SchemaFile::Result => schemars::schema_for!(ResultFile).to_value(),
        SchemaFile::Comparison => schemars::schema_for!(Comparison).to_value(),
        SchemaFile::Sweep => schemars::schema_for!(SweepReport).to_value(),
        SchemaFile::Mlperf => schemars::schema_for!(MlperfReport).to_value(),
        SchemaFile::Bisect => schemars::schema_for!(BisectReport).to_value(),
        SchemaFile::Perfgate => schema::plan(),
        SchemaFile::Thresholds => schema::policy(),
    };
    // `{:#}` of a JSON value is its indented text.
    format!("{schema:#}\n")
}
