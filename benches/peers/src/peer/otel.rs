//! OpenTelemetry logs with the attributes of spans, by OTLP over HTTP, not compressed (its default).

use super::Peer;
use opentelemetry_appender_tracing::layer::{OpenTelemetryTracingBridge, TracingSpanAttributes};
use opentelemetry_otlp::{LogExporter as Otlp, WithExportConfig};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::logs::{
    BatchConfigBuilder, BatchLogProcessor, LogBatch, LogExporter, SdkLoggerProvider,
};

pub struct Logs(SdkLoggerProvider);

impl Peer for Logs {
    fn room(&self) -> u64 {
        1_500 // of 2,048
    }

    fn wait(&self) {
        self.0.force_flush().expect("delivery");
    }

    fn finish(&self) {
        self.0.shutdown().expect("delivery");
    }
}

#[derive(Debug)]
struct Nowhere;

impl LogExporter for Nowhere {
    async fn export(&self, _: LogBatch<'_>) -> OTelSdkResult {
        Ok(())
    }
}

pub fn new(url: Option<&str>) -> Logs {
    let provider = SdkLoggerProvider::builder();
    let provider = match url {
        Some(url) => {
            let otlp = Otlp::builder()
                .with_http()
                .with_endpoint(format!("{url}/v1/logs"));
            provider.with_log_processor(
                BatchLogProcessor::builder(otlp.build().expect("an exporter")).build(),
            )
        }
        None => {
            let roomy = BatchConfigBuilder::default()
                .with_max_queue_size(1 << 17)
                .build();
            provider.with_log_processor(
                BatchLogProcessor::builder(Nowhere)
                    .with_batch_config(roomy)
                    .build(),
            )
        }
    }
    .build();
    super::install(
        OpenTelemetryTracingBridge::builder(&provider)
            .with_tracing_span_attributes(TracingSpanAttributes::all())
            .build(),
    );
    Logs(provider)
}
