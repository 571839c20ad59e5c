"""What the blocking and the asynchronous client share: requests, retries, and the steps that a call is made of."""
