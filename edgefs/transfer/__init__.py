"""From a trained network to your classes or your domain: fine-tuning, frozen features, domain adaptation."""
