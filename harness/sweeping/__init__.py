"""The study: sampler, scheduler, coordinator and the event log they write."""
