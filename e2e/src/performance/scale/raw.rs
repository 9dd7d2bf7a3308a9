//! Publishing with the bare client library, to compare with.

use std::time::Instant;

use anyhow::{Context, Result, ensure};
use common::broker::{BrokerOptions, Outgoing, Publisher, Route};
use common::job::JobMessage;
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::{BasicProperties, Confirmation, Connection, ConnectionProperties};

/// Publishes `count` films with [`Publisher`]; seconds, the connection included.
pub(super) async fn ours(options: &BrokerOptions, job: &JobMessage, count: u64) -> Result<f64> {
    let begun = Instant::now();
    let publisher = Publisher::new(options.clone());
    for _ in 0..count {
        publisher.publish(Route::Film, &Outgoing::job(job)?).await?;
    }
    publisher.close().await;
    Ok(begun.elapsed().as_secs_f64())
}

/// The same with lapin alone: persistent, confirmed, one at a time.
pub(super) async fn bare(url: &str, job: &JobMessage, count: u64) -> Result<f64> {
    let begun = Instant::now();
    let connection = Connection::connect(url, ConnectionProperties::default()).await.context("connect")?;
    let channel = connection.create_channel().await?;
    channel.confirm_select(ConfirmSelectOptions::default()).await?;
    let body = job.to_body()?;
    for _ in 0..count {
        let properties = BasicProperties::default().with_delivery_mode(2);
        let options = BasicPublishOptions { mandatory: true, ..Default::default() };
        let confirm =
            channel.basic_publish("dovi.work".into(), Route::Film.key().into(), options, &body, properties);
        ensure!(
            matches!(confirm.await?.await?, Confirmation::Ack(None)),
            "the broker did not take a message"
        );
    }
    connection.close(200, "done".into()).await.context("close")?;
    Ok(begun.elapsed().as_secs_f64())
}
