//! Publishing that knows whether the message arrived.

use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::{Channel, Confirmation};
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep, timeout_at};
use tokio_util::sync::CancellationToken;

use super::error::within;
use super::{BrokerError, BrokerOptions, Link, Outgoing, Route, topology};

/// How often a publisher looks whether the broker's alarm is over.
const BLOCKED_POLL: Duration = Duration::from_millis(100);

/// Publishes to the work exchange over a connection of its own, connected at the first use and again whenever it broke.
///
/// Of its own, since a broker in memory or disk alarm stops every connection that publishes, acks on it included.
/// One message at a time, since lapin gives a returned message to the wrong one of several open publishes (measured:
/// 3 % of them).
#[derive(Debug)]
pub struct Publisher {
    options: BrokerOptions,
    /// An alarm of the broker is waited for until this is cancelled.
    patience: Option<CancellationToken>,
    open: Mutex<Option<(Link, Channel)>>,
}

impl Publisher {
    /// A publisher that is not connected yet.
    pub fn new(options: BrokerOptions) -> Self {
        Self { options, patience: None, open: Mutex::new(None) }
    }

    /// While the broker's memory or disk alarm is on, publishing waits for its end, however long that takes, until `enough` is
    /// cancelled; then, and for every other failure, the deadlines hold.
    ///
    /// For whoever has a film in hand: to give that back by ending the session instead would count as a delivery each time, and
    /// at the hundredth the broker itself gives a film up.
    #[must_use]
    pub fn patient_until(mut self, enough: CancellationToken) -> Self {
        self.patience = Some(enough);
        self
    }

    fn waits(&self, link: &Link) -> bool {
        link.blocked() && self.patience.as_ref().is_some_and(|enough| !enough.is_cancelled())
    }

    /// Publishes one message, persistent and mandatory, and waits until the broker has it on disk.
    ///
    /// Takes at most about three times the configured deadline (connect, open, publish), but see
    /// [`patient_until`](Self::patient_until). May be dropped at any point.
    ///
    /// # Errors
    /// After [`BrokerError::Unroutable`], [`BrokerError::Nacked`], [`BrokerError::Blocked`] and everything that speaks
    /// of connecting the message is certainly not in a queue. After [`BrokerError::Timeout`] and [`BrokerError::Lost`]
    /// it may be: publish it again, a doubled job is harmless.
    pub async fn publish(&self, route: Route, message: &Outgoing) -> Result<(), BrokerError> {
        let mut open = self.open.lock().await;
        // Taken out while in use: a publish that is dropped half-way leaves an unread confirm on its channel.
        let (link, channel) = match open.take() {
            Some((link, channel)) if link.usable() && channel.status().connected() => (link, channel),
            broken => {
                if let Some((link, _)) = broken {
                    Link::abandon(link);
                }
                self.connect().await?
            }
        };
        let result = self.publish_on(&link, &channel, route, message).await;
        let keep = matches!(
            result,
            Ok(())
                | Err(BrokerError::Unroutable { .. }
                    | BrokerError::Nacked { .. }
                    | BrokerError::Blocked { .. })
        );
        if keep {
            *open = Some((link, channel));
        } else {
            Link::abandon(link);
        }
        result
    }

    async fn connect(&self) -> Result<(Link, Channel), BrokerError> {
        let link = Link::connect(&self.options, "publish").await?;
        let channel = link.channel().await?;
        let select = channel.confirm_select(ConfirmSelectOptions::default());
        within(self.options.timeout, "switch on confirms", select).await?;
        Ok((link, channel))
    }

    async fn publish_on(
        &self,
        link: &Link,
        channel: &Channel,
        route: Route,
        message: &Outgoing,
    ) -> Result<(), BrokerError> {
        let limit = self.options.timeout;
        let mut deadline = Instant::now() + limit;
        let key = route.key();
        let what = || format!("publish to {key}");
        // lapin would hold the message back without telling; so it is not even given to it.
        while link.blocked() {
            if self.waits(link) {
                deadline = Instant::now() + limit;
            } else if Instant::now() >= deadline {
                return Err(BrokerError::Blocked { what: what() });
            }
            sleep(BLOCKED_POLL).await;
        }
        let exchange = async {
            let opts = BasicPublishOptions { mandatory: true, ..Default::default() };
            let published = channel.basic_publish(
                topology::WORK.into(),
                key.into(),
                opts,
                &message.body,
                message.properties(),
            );
            published.await?.await
        };
        // The first message under an alarm is what makes the broker block the connection. It lies on the way then, and is
        // taken when the alarm is over: to begin anew would double it.
        let mut exchange = std::pin::pin!(exchange);
        let mut alarmed = false;
        let confirmed = loop {
            match timeout_at(deadline, &mut exchange).await {
                Err(_) if self.waits(link) => {
                    alarmed = true;
                    deadline = Instant::now() + BLOCKED_POLL;
                }
                // It is over: from now on the broker has its usual time.
                Err(_) if std::mem::take(&mut alarmed) && !link.blocked() => {
                    deadline = Instant::now() + limit;
                }
                other => break other,
            }
        };
        match confirmed {
            Ok(Ok(Confirmation::Ack(None))) => Ok(()),
            Ok(Ok(Confirmation::Ack(Some(_)))) => Err(BrokerError::Unroutable { key }),
            Ok(Ok(Confirmation::Nack(_))) => Err(BrokerError::Nacked { key }),
            Ok(Ok(Confirmation::NotRequested)) => {
                Err(BrokerError::Lost { what: what(), problem: "the channel is not in confirm mode".into() })
            }
            Ok(Err(e)) => Err(BrokerError::from_lapin(&what(), &e)),
            Err(_) => Err(BrokerError::Timeout { what: what(), after: limit }),
        }
    }

    /// Closes the connection; a later publish opens a new one.
    pub async fn close(&self) {
        if let Some((link, _)) = self.open.lock().await.take() {
            link.close().await;
        }
    }
}
