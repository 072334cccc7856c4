"""The field names that captured deliveries of a gateway have, on the two outer levels.

A dot separates them.

What is not here is news: `drift` says so once and learns it. Names, never values. Only gateways of
which many deliveries were captured are here; of another, what a process sees first counts as known.
"""

from __future__ import annotations


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


KNOWN: dict[str, frozenset[str]] = {
    "appmax": _names(
        """
        data data.address_city data.address_state data.address_street data.address_street_complement
        data.address_street_district data.address_street_number data.affiliate_comission
        data.affiliate_commission data.billet_date_overdue data.billet_digitable_line data.billet_url
        data.bundles data.card_brand data.card_details data.co_production_commission data.company_cnpj
        data.company_email data.company_name data.created_at data.customer data.customer_email
        data.customer_firstname data.customer_fullname data.customer_id data.customer_lastname data.customer_uf
        data.discount data.document_number data.email data.firstname data.freight_type data.freight_value
        data.full_payment_amount data.fullname data.id data.installments data.integrated_at data.interest
        data.interested_bundle data.invoice_id data.issuer_message data.lastname data.order_billet_payment_code
        data.order_created_at data.order_freight_type data.order_freight_value data.order_id
        data.order_payment_type data.order_refund_amount data.order_status data.order_total
        data.order_total_products data.order_total_refunded data.origin data.paid_at
        data.partner_affiliate_total data.partner_total data.payment_link_id data.payment_type
        data.pix_creation_date data.pix_emv data.pix_end_to_end_id data.pix_expiration_date
        data.pix_payment_link data.pix_qrcode data.pix_ref data.postcode data.products data.refund_amount
        data.refunded_at data.seller_name data.site_id data.status data.subscription data.telephone data.total
        data.total_products data.total_refunded data.traffic_description data.uf data.upsell_order_id data.visit
        data.visited_url environment event event_type
        """
    ),
    "braip": _names(
        """
        abandonment_key affiliate_email affiliate_name basic_authentication checkout_url client_address
        client_address_city client_address_comp client_address_country client_address_district
        client_address_number client_address_state client_cel client_city client_documment client_email
        client_name client_state client_zip_code commissions commissions_release_date currency have_order_bump
        is_upsell meta meta.fbclid meta.src meta.utm_campaign meta.utm_content meta.utm_medium meta.utm_source
        meta.utm_term parent_sale plan_amount plan_key plan_name product_key product_name product_type
        shipping_company tracking_code trans_cash_on_delivery trans_createdate trans_discount_value
        trans_freight trans_freight_type trans_installments trans_items trans_key trans_pay_on_delivery
        trans_payment trans_payment_bar_code trans_payment_date trans_payment_line trans_payment_link_checkout
        trans_payment_url trans_qrcode_pix trans_status trans_status_code trans_total_value trans_updatedate
        trans_url_pix trans_value type
        """
    ),
    "hotmart": _names(
        """
        address address_city address_comp address_country address_district address_number address_state
        address_zip_code aff aff_name billet_barcode billet_url callback_type cms_aff cms_marketplace cms_vendor
        confirmation_purchase_date coupon_code creationDate creation_date currency currency_code_from data
        data.actual_recurrence_value data.affiliate data.affiliates data.buyer data.buyer_ip
        data.cancellation_date data.checkout_country data.commissions data.date_next_charge data.offer data.plan
        data.plans data.producer data.product data.purchase data.subscriber data.subscription
        data.switch_plan_date data.user doc email event first_name full_price hotkey hottok id
        installments_number last_name name name_subscription_plan off original_offer_price payment_engine
        payment_type phone_checkout_local_code phone_checkout_number phone_local_code phone_number price prod
        prod_name producer_document producer_legal_nature producer_name purchase_date recurrency_period sck src
        status subscriber_code subscription_status transaction transaction_ext version xcod
        """
    ),
    "kiwify": _names(
        """
        Commissions Commissions.charge_amount Commissions.commissioned_stores Commissions.currency
        Commissions.deposit_date Commissions.estimated_deposit_date Commissions.funds_status
        Commissions.kiwify_fee Commissions.kiwify_fee_currency Commissions.my_commission
        Commissions.product_base_price Commissions.product_base_price_currency Commissions.sale_tax_amount
        Commissions.sale_tax_rate Commissions.settlement_amount Commissions.settlement_amount_currency Customer
        Customer.CPF Customer.city Customer.cnpj Customer.complement Customer.email Customer.first_name
        Customer.full_name Customer.instagram Customer.ip Customer.mobile Customer.neighborhood Customer.number
        Customer.state Customer.street Customer.zipcode Product Product.product_id Product.product_name
        Subscription Subscription.charges Subscription.id Subscription.next_payment Subscription.plan
        Subscription.start_date Subscription.status TrackingParameters TrackingParameters.s1
        TrackingParameters.s2 TrackingParameters.s3 TrackingParameters.sck TrackingParameters.src
        TrackingParameters.utm_campaign TrackingParameters.utm_content TrackingParameters.utm_medium
        TrackingParameters.utm_source TrackingParameters.utm_term access_url approved_date boleto_URL
        boleto_barcode boleto_expiry_date card_last4digits card_rejection_reason card_type checkout_link cnpj
        country created_at email id installments name offer_name order order.Commissions order.Customer
        order.Product order.Subscription order.TrackingParameters order.access_url order.approved_date
        order.boleto_URL order.boleto_barcode order.boleto_expiry_date order.card_last4digits
        order.card_rejection_reason order.card_type order.checkout_link order.created_at order.installments
        order.order_id order.order_ref order.order_status order.payment_merchant_id order.payment_method
        order.pix_code order.pix_expiration order.product_type order.refunded_at order.sale_type order.store_id
        order.subscription_id order.updated_at order.webhook_event_type order_id order_ref order_status
        payment_merchant_id payment_method phone pix_code pix_expiration product_id product_name product_type
        refunded_at sale_type signature status store_id subscription_id subscription_plan updated_at url
        webhook_event_type
        """
    ),
    "perfectpay": _names(
        """
        academy_access_url billet_expiration billet_number billet_url checkout_type_enum code commission
        coupon_code currency_enum currency_enum_key customer customer.birthday customer.city
        customer.complement customer.country customer.customer_type_enum customer.customer_type_enum_key
        customer.date_birth customer.district customer.email customer.full_name customer.identification_number
        customer.identification_type customer.ip customer.phone_area_code customer.phone_extension
        customer.phone_formated customer.phone_formated_ddi customer.phone_number customer.state
        customer.street_name customer.street_number customer.user_agent customer.zip_code date_approved
        date_created installment_amount installments marketplaces metadata original_code payment_format_enum
        payment_format_enum_key payment_method_enum payment_method_enum_key payment_type_enum
        payment_type_enum_key plan plan.code plan.name plan.quantity plan.tax_code plan_itens product
        product.code product.external_reference product.guarantee product.name quantity sale_amount
        sale_status_detail sale_status_enum sale_status_enum_key shipping_amount shipping_type_enum
        shipping_type_enum_key subscription subscription.charges_made subscription.code
        subscription.next_charge_date subscription.status subscription.status_event
        subscription.subscription_status_enum token tracking url_send_webhook_pay url_tracking webhook_owner
        """
    ),
    "stripe": _names(
        """
        api_version created data data.object id livemode object pending_webhooks request request.id
        request.idempotency_key type
        """
    ),
}
