//! The same three by methods, their answers as models.

use tracing_posthog::rest::bodies::{NewAnnotation, NewFeatureFlag};
use tracing_posthog::{PostHogClient, PostHogError};

async fn three() -> Result<(), PostHogError> {
    let project = PostHogClient::from_env()?.project(1);
    let flag = NewFeatureFlag::new("beta-ui").active(true);
    let flag = project.feature_flags().create(&flag).await?;
    println!("{:?}", flag.id);
    let people = project.persons().list().search("ada@").await?;
    println!("{:?}", people.results.len());
    let note = NewAnnotation::new("deployed");
    let note = project.annotations().create(&note).await?;
    println!("{:?}", note.id);
    Ok(())
}

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime");
    println!("{:?}", runtime.block_on(three()));
}
