//! Tokens: how a client says who calls.

use ferrod_proto::ApiError;
use ferrod_proto::etcdserverpb::{AuthenticateRequest, AuthenticateResponse};

use crate::method::Method;
use crate::{Client, Credentials, Error};

const AUTHENTICATE: Method<AuthenticateRequest, AuthenticateResponse> =
    Method::once("/etcdserverpb.Auth/Authenticate");

/// Times that one call asks for a new token before it reports the refusal.
const RENEWALS_MAX: u32 = 3;

impl Client {
    /// Gets a token if the configuration says how. A cluster without authentication has none to give.
    pub(crate) async fn log_in(&self) -> Result<(), Error> {
        let config = &self.shared().config;
        let token = match &config.credentials {
            None => return Ok(()),
            Some(Credentials::Token(token)) => token.clone(),
            Some(Credentials::Password { name, password }) => {
                let caller = self.with_call_timeout(Some(config.dial_timeout));
                match caller.authenticate(name, password).await {
                    Ok(response) => response.token,
                    Err(Error::Api(ApiError::AuthNotEnabled)) => return Ok(()),
                    Err(error) => return Err(error),
                }
            }
        };
        let token = token.parse().map_err(|_| Error::BadToken)?;
        *self.shared().token.lock() = Some(token);
        Ok(())
    }

    /// Gets a new token with name and password. Says no if there are none, or after too many times.
    pub(crate) async fn renew_token(&self, times: u32) -> Result<bool, Error> {
        match self.shared().config.credentials {
            Some(Credentials::Password { .. }) if times <= RENEWALS_MAX => {
                // Boxed because a call may log in, and logging in is a call.
                Box::pin(self.log_in()).await?;
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    async fn authenticate(
        &self,
        name: &str,
        password: &str,
    ) -> Result<AuthenticateResponse, Error> {
        // The old token must not travel with the request for a new one.
        *self.shared().token.lock() = None;
        let (name, password) = (name.to_owned(), password.to_owned());
        self.unary(AUTHENTICATE, AuthenticateRequest { name, password })
            .await
    }
}
